//! A signature over a catalog's root.
//!
//! Establishes: a [`RootSignature`] is valid; reading one verifies it.

use super::{Date, Error, Result, SecretKey, SignerKey, date, digest_of, from_hexadecimal, hexadecimal};
use catalogs::Digest;
use catalogs::text::{Lines, require_canonical};

/// What a signature over a root is a signature over, before the text itself. No other signed text starts like this.
pub const SIGNATURE_CONTEXT: &[u8] = b"chebyshare 2026 catalog signature 1\0";

/// The longest file of a signature, in bytes.
pub(super) const SIGNATURE_BYTES_MAX: usize = 1024;

/// "I answer for the catalog with this root", signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootSignature {
    /// The catalog's root.
    pub root: Digest,
    /// When, if the signer says so.
    pub date: Option<Date>,
    /// Who.
    pub signer: SignerKey,
    signature: [u8; 64],
}

fn statement(root: &Digest, date: Option<Date>, signer: &SignerKey) -> String {
    format!("chebyshare signature 1\nroot {root}\ndate {}\nsigner {signer}\n", date::write(date))
}

/// The bytes that are signed: the context, then the file up to the line of the signature.
pub(super) fn message(context: &[u8], statement: &str) -> Vec<u8> {
    [context, statement.as_bytes()].concat()
}

impl RootSignature {
    /// Signs.
    pub fn sign(secret: &SecretKey, root: Digest, date: Option<Date>) -> RootSignature {
        let signer = secret.signer();
        let signature = secret.sign(&message(SIGNATURE_CONTEXT, &statement(&root, date, &signer)));
        RootSignature { root, date, signer, signature }
    }

    /// The canonical file.
    pub fn to_text(&self) -> String {
        let statement = statement(&self.root, self.date, &self.signer);
        format!("{statement}signature {}\nend\n", hexadecimal(&self.signature))
    }

    /// Reads a canonical file and verifies it.
    pub fn parse(text: &str) -> Result<RootSignature> {
        let malformed = |error: catalogs::ParseError| Error::Text(error.to_string());
        let mut lines = Lines::new(text, SIGNATURE_BYTES_MAX).map_err(malformed)?;
        if lines.next_words().map_err(malformed)? != ["chebyshare", "signature", "1"] {
            return Err(Error::Text("line 1: 'chebyshare signature 1' expected".into()));
        }
        let mut word = |name: &str| match lines.expect(name).map_err(malformed)?[..] {
            [word] => Ok(word),
            _ => Err(Error::Text(lines.error(format!("one word after '{name}' expected")).to_string())),
        };
        let root = digest_of(word("root")?).map_err(Error::Text)?;
        let date = date::read(word("date")?)?;
        let signer = SignerKey::parse(word("signer")?)?;
        let signature = from_hexadecimal(word("signature")?)
            .ok_or_else(|| Error::Text("a signature has 128 lower-case hexadecimal digits".into()))?;
        let parsed = RootSignature { root, date, signer, signature };
        require_canonical(text, &parsed.to_text()).map_err(malformed)?;
        if !signer.has_signed(&message(SIGNATURE_CONTEXT, &statement(&root, date, &signer)), &signature) {
            return Err(Error::Text("the signature is not valid".into()));
        }
        Ok(parsed)
    }
}
