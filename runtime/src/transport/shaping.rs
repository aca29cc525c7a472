//! Imitates a slower network on a fast one, for experiments.
//!
//! The model: each party has one line out, shared by all its peers, that takes frames in the order
//! of sending at a fixed rate (a token bucket without burst), and a fixed delay of half a round
//! trip behind it. A byte therefore arrives at *max(sent, line free) + bytes before it / rate +
//! round trip / 2*. Headers count, TLS does not. Records are sealed while they would be on their
//! way, and written when they would have arrived. What the real connection and the scheduler of the
//! operating system add (some 0.05 ms a message) comes on top; that a timed wait may end late does
//! not, as far as [`wake_in_time`] is obeyed.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// Round trip and rate of a network to imitate.
///
/// As a TOML file: `round_trip_seconds = 0.04` and `bits_per_second = 1e8`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shaping {
    /// Seconds from a question to its answer, 0 to 10.
    pub round_trip_seconds: f64,
    /// Bits each second that one party can send, at least 1,000.
    pub bits_per_second: f64,
}

impl Shaping {
    /// A local network: 1 Gbit/s, 0.2 ms.
    pub const LAN: Self = Self { round_trip_seconds: 0.0002, bits_per_second: 1e9 };

    /// A wide network: 100 Mbit/s, 40 ms.
    pub const WAN: Self = Self { round_trip_seconds: 0.04, bits_per_second: 1e8 };

    /// The profile called `lan` or `wan`, or else the one in the TOML file of that path.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "lan" => Ok(Self::LAN),
            "wan" => Ok(Self::WAN),
            path => Self::read(Path::new(path)),
        }
    }

    /// The profile in a TOML file.
    pub fn read(path: &Path) -> Result<Self> {
        let refuse = |reason: String| Error::Shaping { name: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path)
            .map_err(|error| refuse(format!("{error}; use `lan`, `wan` or a readable TOML file")))?;
        let profile: Self = toml::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        profile.check().map_err(refuse)
    }

    pub(super) fn check(self) -> std::result::Result<Self, String> {
        let Self { round_trip_seconds: round_trip, bits_per_second: rate } = self;
        if !(0.0..=10.0).contains(&round_trip) {
            return Err(format!("field `round_trip_seconds` is {round_trip}, use 0 to 10"));
        }
        if !(1e3..=1e15).contains(&rate) {
            return Err(format!("field `bits_per_second` is {rate}, use 1e3 to 1e15"));
        }
        Ok(self)
    }
}

/// Asks the operating system to end timed waits of this thread, and of those that it starts later, when their time is
/// over.
///
/// Linux lets them end 50 µs late by default, to wake the processor less often, which is as much as half a round trip of
/// a local network. The least that can be asked for is 1 ns. Where that cannot be asked, messages arrive that much later.
pub(super) fn wake_in_time() {
    #[cfg(target_os = "linux")]
    if let Some(file) = timer_slack_file() {
        let _ = std::fs::write(file, "1");
    }
}

/// Where the system keeps what this thread's timed waits may be late, in nanoseconds: /proc/self would be the first
/// thread's.
#[cfg(target_os = "linux")]
fn timer_slack_file() -> Option<std::path::PathBuf> {
    let thread = std::fs::read_link("/proc/thread-self").ok()?;
    Some(Path::new("/proc").join(thread.file_name()?).join("timerslack_ns"))
}

/// One party's line out.
#[derive(Debug)]
pub(super) struct Line {
    seconds_per_byte: f64,
    delay: Duration,
    free_at: Option<Instant>,
}

impl Line {
    pub(super) fn new(shaping: Shaping) -> Self {
        Self {
            seconds_per_byte: 8.0 / shaping.bits_per_second,
            delay: Duration::from_secs_f64(shaping.round_trip_seconds / 2.0),
            free_at: None,
        }
    }

    /// Puts a frame of `bytes` on the line at time `now`.
    pub(super) fn depart(&mut self, now: Instant, bytes: usize) -> Departure {
        let start = self.free_at.map_or(now, |free_at| free_at.max(now));
        let departure = Departure { start: start + self.delay, seconds_per_byte: self.seconds_per_byte };
        self.free_at = Some(departure.arrival(bytes) - self.delay);
        departure
    }
}

/// When the bytes of one frame arrive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    start: Instant,
    seconds_per_byte: f64,
}

impl Departure {
    /// When the first `bytes` of the frame have arrived.
    pub(super) fn arrival(&self, bytes: usize) -> Instant {
        self.start + Duration::from_secs_f64(bytes as f64 * self.seconds_per_byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_profiles_are_refused_by_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.toml");
        for (text, named) in [
            ("round_trip_seconds = -1.0\nbits_per_second = 1e9", "`round_trip_seconds` is -1"),
            ("round_trip_seconds = nan\nbits_per_second = 1e9", "`round_trip_seconds` is NaN"),
            ("round_trip_seconds = 0.1\nbits_per_second = 0.0", "`bits_per_second` is 0"),
            ("round_trip_seconds = 0.1\nbits_per_second = inf", "`bits_per_second` is inf"),
            ("round_trip_seconds = 0.1", "bits_per_second"),
            ("round_trip_seconds = 0.1\nbits_per_second = 1e9\nloss = 0.1", "loss"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = Shaping::named(path.to_str().unwrap()).unwrap_err().to_string();
            assert!(message.contains(named) && message.contains("network.toml"), "{message}");
        }
        let message = Shaping::named("wam").unwrap_err().to_string();
        assert!(message.contains("use `lan`, `wan` or"), "{message}");
    }

    #[test]
    fn profiles_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.toml");
        std::fs::write(&path, "round_trip_seconds = 0.04\nbits_per_second = 1e8\n").unwrap();
        assert_eq!(Shaping::named(path.to_str().unwrap()), Ok(Shaping::WAN));
        assert_eq!(Shaping::named("lan"), Ok(Shaping::LAN));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_inherit_that_they_wake_in_time() {
        // A thread of its own: others of this test's process are left as they are.
        std::thread::spawn(|| {
            let slack = || std::fs::read_to_string(timer_slack_file().unwrap()).unwrap();
            std::fs::write(timer_slack_file().unwrap(), "40000").unwrap();
            assert_eq!(slack().trim(), "40000");
            wake_in_time();
            assert_eq!((slack().trim(), std::thread::spawn(slack).join().unwrap().trim()), ("1", "1"));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_line_is_shared_and_delays_do_not_add_up() {
        let mut line = Line::new(Shaping { round_trip_seconds: 0.5, bits_per_second: 8000.0 });
        let now = Instant::now();
        let seconds = |at: Instant| at.duration_since(now).as_secs_f64();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let first = line.depart(now, 1000);
        assert!(near(seconds(first.arrival(0)), 0.25));
        assert!(near(seconds(first.arrival(1000)), 1.25));
        let second = line.depart(now, 500);
        assert!(near(seconds(second.arrival(500)), 1.75));
        let later = line.depart(now + Duration::from_secs(9), 1000);
        assert!(near(seconds(later.arrival(1000)), 10.25));
    }
}
