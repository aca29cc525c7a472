//! Secret keys and the name of a session.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Error;

/// A 256-bit secret. Erased when dropped; nothing of it is ever printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; Key::BYTES]);

impl Key {
    /// Bytes of a key.
    pub const BYTES: usize = 32;

    /// A key from bytes that are already uniform and secret.
    pub fn from_bytes(bytes: [u8; Key::BYTES]) -> Self {
        Self(bytes)
    }

    /// A fresh key from the operating system.
    pub fn fresh() -> Result<Self, Error> {
        let mut bytes = [0; Key::BYTES];
        getrandom::fill(&mut bytes).map_err(|error| Error::OperatingSystem(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// The key that `purpose` has below this one. Distinct pairs of purpose and context give
    /// independent keys; `purpose` must be a constant of the program.
    pub fn derive(&self, purpose: &'static str, context: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(&self.0);
        hasher.update(context);
        Self(*hasher.finalize().as_bytes())
    }

    pub(crate) fn bytes(&self) -> &[u8; Key::BYTES] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(secret)")
    }
}

/// The name of one session, agreed by all its parties and never used twice. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 32]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_nothing_secret() {
        let printed = format!("{:?}", Key::from_bytes([0xab; 32]));
        assert_eq!(printed, "Key(secret)");
    }

    #[test]
    fn derivation_separates_purposes_and_contexts() {
        let key = Key::from_bytes([7; 32]);
        let one = key.derive("chebyshare test one", b"a");
        assert_eq!(one.bytes(), key.derive("chebyshare test one", b"a").bytes());
        assert_ne!(one.bytes(), key.derive("chebyshare test two", b"a").bytes());
        assert_ne!(one.bytes(), key.derive("chebyshare test one", b"b").bytes());
        assert_ne!(one.bytes(), Key::from_bytes([8; 32]).derive("chebyshare test one", b"a").bytes());
    }

    #[test]
    fn fresh_keys_differ() {
        assert_ne!(Key::fresh().unwrap().bytes(), Key::fresh().unwrap().bytes());
    }
}
