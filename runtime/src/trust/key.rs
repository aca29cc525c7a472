//! Keys of signers (Ed25519, RFC 8032).
//!
//! Establishes: a [`SignerKey`] is a canonical encoding and not one of the points of small order. For those anybody can
//! make signatures (for the neutral element, (neutral, 0) is a signature of every message), and the verification
//! equation alone accepts them.

use super::{Error, Result, from_hexadecimal, hexadecimal};
use catalogs::text::{Lines, ParseError, require_canonical};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No key file is longer.
const KEY_BYTES_MAX: u64 = 1024;

/// The y coordinates, little-endian, of the eight points whose order divides eight: 0, 1, −1 and the two of order eight
/// up to the sign of x. Equation: 8·P = 0 on −x² + y² = 1 + d·x²·y².
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
];

/// A signer: its public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SignerKey([u8; 32]);

impl SignerKey {
    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<SignerKey> {
        let bytes = from_hexadecimal(text).ok_or_else(|| {
            Error::Text(format!("'{:.80}' is not a signer's key; it has 64 hexadecimal digits", text.escape_debug()))
        })?;
        SignerKey::new(bytes)
    }

    fn new(bytes: [u8; 32]) -> Result<SignerKey> {
        let refuse = |reason: &str| Err(Error::Text(format!("key {}: {reason}", hexadecimal(&bytes))));
        let mut y = bytes;
        y[31] &= 0x7f;
        // p = 2^255 − 19, so y ≥ p means all ones above a last byte of at least 0xed.
        if y[31] == 0x7f && y[1..31].iter().all(|byte| *byte == 0xff) && y[0] >= 0xed {
            return refuse("not a canonical encoding of a point");
        }
        if SMALL_ORDER.contains(&y) {
            return refuse("a point of small order: anybody could sign for it");
        }
        Ok(SignerKey(bytes))
    }

    /// Whether `signature` is this signer's of `message`.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> String {
        hexadecimal(&self.0[..6])
    }

    /// The canonical text of a public key's file.
    pub fn to_text(&self) -> String {
        format!("chebyshare public key 1\nsigner {self}\nend\n")
    }

    /// Reads the file that [`SecretKey::generate`] wrote beside a secret key.
    pub fn read(file: &Path) -> Result<SignerKey> {
        let text = read_bounded(file)?;
        let refuse = |reason: String| Error::File { file: file.to_owned(), reason };
        let parse = || -> std::result::Result<SignerKey, String> {
            let mut lines = Lines::new(&text, KEY_BYTES_MAX as usize).map_err(|error| error.to_string())?;
            let key = key_lines(&mut lines, "public", "signer").map_err(|error| error.to_string())?;
            let key = SignerKey::parse(key).map_err(|error| error.to_string())?;
            require_canonical(&text, &key.to_text()).map_err(|error| error.to_string())?;
            Ok(key)
        };
        parse().map_err(|reason| refuse(format!("not a public key: {reason}")))
    }
}

/// `chebyshare KIND key 1`, then the word after `name`.
fn key_lines<'a>(lines: &mut Lines<'a>, kind: &str, name: &str) -> std::result::Result<&'a str, ParseError> {
    if lines.next_words()? != ["chebyshare", kind, "key", "1"] {
        return Err(lines.error(format!("'chebyshare {kind} key 1' expected")));
    }
    match lines.expect(name)?[..] {
        [word] => Ok(word),
        _ => Err(lines.error(format!("'{name} KEY' expected"))),
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

/// A signer's secret key. It is never printed: neither `Debug` nor any message shows it.
pub struct SecretKey {
    pair: Ed25519KeyPair,
    signer: SignerKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.signer)
    }
}

impl SecretKey {
    /// Makes a key from the operating system's randomness, writes it to `file` (readable by its owner only) and the
    /// public key beside it to `file.public`. Existing files are never overwritten.
    pub fn generate(file: &Path) -> Result<(SecretKey, PathBuf)> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut())
            .map_err(|error| Error::Text(format!("the operating system gives no randomness: {error}")))?;
        let key = SecretKey::from_seed(&seed)?;
        let mut beside = file.as_os_str().to_owned();
        beside.push(".public");
        let public = PathBuf::from(beside);
        for file in [file, &public] {
            if file.symlink_metadata().is_ok() {
                let reason = "exists already, keys are never overwritten: choose another name".to_owned();
                return Err(Error::File { file: file.to_owned(), reason });
            }
        }
        let text = Zeroizing::new(format!(
            "chebyshare secret key 1\nsigner {}\nsecret {}\nend\n",
            key.signer,
            *Zeroizing::new(hexadecimal(seed.as_ref()))
        ));
        write_new(file, &text, 0o600)?;
        if let Err(error) = write_new(&public, &key.signer.to_text(), 0o644) {
            // A secret key whose public key nobody has serves nobody; the first error is the one to report.
            let _ = fs::remove_file(file);
            return Err(error);
        }
        Ok((key, public))
    }

    fn from_seed(seed: &[u8; 32]) -> Result<SecretKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::Text("the secret key cannot be used; make another one".into()))?;
        let mut public = [0u8; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        let signer = SignerKey::new(public)?;
        Ok(SecretKey { pair, signer })
    }

    /// Reads a secret key, which nobody but its owner may be able to read.
    pub fn read(file: &Path) -> Result<SecretKey> {
        check_private(file)?;
        // Messages name the file and never quote it.
        let wrong = || Error::File {
            file: file.to_owned(),
            reason: "not a secret key; `chebyshare catalog keygen` makes one".into(),
        };
        let text = Zeroizing::new(read_bounded(file)?);
        let mut lines = Lines::new(&text, KEY_BYTES_MAX as usize).map_err(|_| wrong())?;
        let stated = key_lines(&mut lines, "secret", "signer").map_err(|_| wrong())?;
        let words = lines.expect("secret").map_err(|_| wrong())?;
        let [secret] = words[..] else { return Err(wrong()) };
        let seed = Zeroizing::new(from_hexadecimal::<32>(secret).ok_or_else(wrong)?);
        let key = SecretKey::from_seed(&seed)?;
        let canonical =
            Zeroizing::new(format!("chebyshare secret key 1\nsigner {}\nsecret {secret}\nend\n", key.signer));
        if *canonical != *text || stated != key.signer.to_string() {
            return Err(wrong());
        }
        Ok(key)
    }

    /// The public key.
    pub fn signer(&self) -> SignerKey {
        self.signer
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0u8; 64];
        bytes.copy_from_slice(self.pair.sign(message).as_ref());
        bytes
    }
}

fn failed(file: &Path, error: &std::io::Error) -> Error {
    Error::File { file: file.to_owned(), reason: error.to_string() }
}

fn read_bounded(file: &Path) -> Result<String> {
    let metadata = fs::metadata(file).map_err(|error| failed(file, &error))?;
    if !metadata.is_file() || metadata.len() > KEY_BYTES_MAX {
        return Err(Error::File { file: file.to_owned(), reason: "not a key: not a short file".into() });
    }
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| failed(file, &error))?;
    match opened.take(KEY_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(failed(file, &error)),
    }
}

#[cfg(unix)]
fn check_private(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(file).map_err(|error| failed(file, &error))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let reason = format!("others can read this secret key (mode {mode:o}): chmod 600 {}", file.display());
    Err(Error::File { file: file.to_owned(), reason })
}

#[cfg(not(unix))]
fn check_private(_file: &Path) -> Result<()> {
    Ok(())
}

fn write_new(file: &Path, text: &str, mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut opened = options.open(file).map_err(|error| failed(file, &error))?;
    let written = opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_file(file);
        failed(file, &error)
    })
}
