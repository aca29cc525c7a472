//! Numbers as people read them on a page: a real minus sign, powers of ten with superscripts.

use catalogs::Decimal;

/// `9.98833e-4` as `9.98833 × 10⁻⁴`; numbers without an exponent only get their minus sign.
pub fn scientific(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{} × 10{}", signed(mantissa), superscript(exponent)),
        None => signed(text),
    }
}

/// A number with `digits` significant digits.
pub fn significant(value: f64, digits: usize) -> String {
    let plain = 1e-3..1e6;
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() || !plain.contains(&value.abs()) {
        let text = format!("{value:.0$e}", digits.saturating_sub(1));
        let Some((mantissa, exponent)) = text.split_once('e') else { return text };
        let mantissa =
            if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        return scientific(&format!("{mantissa}e{exponent}"));
    }
    let before = value.abs().log10().floor() as i32;
    let after = usize::try_from(digits as i32 - 1 - before).unwrap_or(0);
    let text = format!("{value:.after$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    signed(text)
}

/// A number of an entry as plainly as it can be written: `0.125`, `1`, `2 × 10⁻⁵`.
pub fn plain(number: Decimal) -> String {
    significant(number.to_f64_lossy(), 12)
}

/// An integer in groups of three digits.
pub fn grouped(value: i128) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if value < 0 { format!("−{out}") } else { out }
}

/// An integer of a program: as it is, or as m·2^n where that is shorter.
pub fn coefficient(value: i128) -> String {
    let zeros = value.trailing_zeros();
    if value != 0 && zeros >= 12 {
        let odd = value >> zeros;
        let power = format!("2{}", superscript(&zeros.to_string()));
        return match odd {
            1 => power,
            -1 => format!("−{power}"),
            odd => format!("{}·{power}", signed(&odd.to_string())),
        };
    }
    signed(&value.to_string())
}

/// With a real minus sign.
pub fn signed(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text.to_owned(),
    }
}

/// An integer above the line.
pub fn superscript(text: &str) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |character: char| match character.to_digit(10) {
        Some(digit) => RAISED[digit as usize],
        None => '⁻',
    };
    text.chars().filter(|character| *character != '+').map(raise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(scientific("9.98833e-4"), "9.98833 × 10⁻⁴");
        assert_eq!(scientific("-1e12"), "−1 × 10¹²");
        assert_eq!(significant(1.01299, 4), "1.013");
        assert_eq!(significant(-511.99998, 6), "−512");
        assert_eq!(significant(2.5e-7, 3), "2.5 × 10⁻⁷");
        assert_eq!(significant(5e-4, 6), "5 × 10⁻⁴");
        assert_eq!(significant(1_048_576.0, 3), "1.05 × 10⁶");
        assert_eq!(significant(20.0, 4), "20");
        assert_eq!(grouped(-33_554_431), "−33\u{202f}554\u{202f}431");
        assert_eq!(coefficient(1 << 57), "2⁵⁷");
        assert_eq!(coefficient(-3 << 20), "−3·2²⁰");
        assert_eq!(coefficient(0), "0");
    }
}
