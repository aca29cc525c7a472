//! What is fuzzed: each function takes any bytes, returns whether they were accepted, and asserts what must hold then.
//! Shared by `verify/tests/fuzz.rs` and by the targets beside this file.

use catalogs::{Entry, Expression};
use verify::{Certificate, check_bytes};

/// Stands between an entry and a certificate in one input of [`checker`].
pub const MARK: &[u8] = b"--- certificate\n";

/// The parser of entries: what it accepts is written again byte for byte.
pub fn entry(data: &[u8]) -> bool {
    let Some(parsed) = std::str::from_utf8(data).ok().and_then(|text| Entry::parse(text).ok()) else { return false };
    assert_eq!(parsed.to_text().as_bytes(), data);
    assert!(parsed.program.ops().len() <= catalogs::Program::MAX_OPS);
    true
}

/// The parser of certificates.
pub fn certificate(data: &[u8]) -> bool {
    let Some(parsed) = std::str::from_utf8(data).ok().and_then(|text| Certificate::parse(text).ok()) else {
        return false;
    };
    assert_eq!(parsed.to_text().as_bytes(), data);
    true
}

/// The parser of expressions, and both ways of writing them.
pub fn expression(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let words: Vec<&str> = text.split(' ').collect();
    let Ok(parsed) = Expression::parse(&words) else { return false };
    assert!(parsed.nodes() <= catalogs::expression::MAX_NODES);
    let prefix = parsed.prefix();
    let again = Expression::parse(&prefix.split(' ').collect::<Vec<_>>());
    assert_eq!(again.as_ref(), Ok(&parsed));
    assert!(!parsed.to_string().is_empty());
    true
}

/// The whole checker. What it certifies is consistent in itself: a witness below the bound, an output inside its ring.
pub fn checker(data: &[u8]) -> bool {
    let at = data.windows(MARK.len()).position(|window| window == MARK);
    let (entry, certificate) = at.map_or((data, &b""[..]), |at| (&data[..at], &data[at + MARK.len()..]));
    match check_bytes(entry, certificate) {
        Ok(certified) => {
            let claim = certified.claim();
            assert!(certified.witness_error().to_rational() <= claim.bound.to_rational(), "a witness above the bound");
            let (low, high) = certified.output_range();
            let ring = certified.program().output().0;
            assert!(low <= high && ring.contains(low) && ring.contains(high));
            true
        }
        Err(rejection) => {
            let message = rejection.to_string();
            assert!(message.len() < 3000, "a message of {} bytes", message.len());
            false
        }
    }
}
