//! Calendar dates, as signers state them.

use super::{Error, Result};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A day of the proleptic Gregorian calendar, from 2000-01-01 to 9999-12-31.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Parses `2026-11-21`, the only spelling.
    pub fn parse(text: &str) -> Result<Date> {
        let wrong = || Error::Text(format!("'{:.20}' is not a date; write it as 2026-11-21", text.escape_debug()));
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts[..] else { return Err(wrong()) };
        let date = Date {
            year: year.parse().map_err(|_| wrong())?,
            month: month.parse().map_err(|_| wrong())?,
            day: day.parse().map_err(|_| wrong())?,
        };
        let exists = (2000..=9999).contains(&date.year)
            && (1..=12).contains(&date.month)
            && (1..=days_of(date.year, date.month)).contains(&date.day);
        if exists && date.to_string() == text { Ok(date) } else { Err(wrong()) }
    }

    /// The day in Greenwich, by this machine's clock; `None` if the clock is before 2000 or after 9999.
    pub fn today() -> Option<Date> {
        let mut days = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() / 86_400;
        let (mut year, mut month) = (1970u16, 1u8);
        loop {
            let length = if leap(year) { 366 } else { 365 };
            if days < length {
                break;
            }
            days -= length;
            year = year.checked_add(1).filter(|year| *year <= 9999)?;
        }
        while days >= u64::from(days_of(year, month)) {
            days -= u64::from(days_of(year, month));
            month += 1;
        }
        let day = u8::try_from(days + 1).ok()?;
        (year >= 2000).then_some(Date { year, month, day })
    }
}

fn leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u16, month: u8) -> u8 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A signed date: `none` if there is none.
pub(super) fn write(date: Option<Date>) -> String {
    date.map_or("none".to_owned(), |date| date.to_string())
}

/// Reads what [`write()`] writes.
pub(super) fn read(word: &str) -> Result<Option<Date>> {
    if word == "none" { Ok(None) } else { Date::parse(word).map(Some) }
}
