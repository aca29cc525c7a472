//! `chebyshare catalog keygen|sign|signatures|revoke`: who stands for a catalog, and what was withdrawn.

use crate::catalog_folder;
use crate::failure::Failure;
use crate::interrupt::undivided;
use crate::output;
use crate::report::{Context, table};
use catalogs::digest::Tag;
use catalogs::{Catalog, Digest};
use clap::Args;
use runtime::trust::{
    Admission, Attachment, Beside, Date, Policy, Reason, RevocationList, RootSignature, SecretKey, SignerKey, Subject,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Makes a signer's key: the secret key in FILE (mode 600), the public key in FILE.public. Nothing is overwritten, and
/// the secret is never printed.
///
/// Example: chebyshare catalog keygen --out release.key
#[derive(Args)]
pub struct Keygen {
    /// The file of the secret key.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Checks every entry and signs the catalog's root. The signature lies in SIGNATURES/, outside of what the root covers.
///
/// Example: chebyshare catalog sign --key release.key
#[derive(Args)]
pub struct Sign {
    /// The signer's secret key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    date: SignedDate,
}

/// Verifies and lists the signatures and revocation lists beside the catalog. Without a policy the exit code is 1 if any
/// of them is not valid for this catalog; with one it is 1 if the policy does not accept the catalog.
///
/// Example: chebyshare catalog signatures --policy policy.toml
#[derive(Args)]
pub struct Signatures {
    /// Decide by this policy.
    #[arg(long, value_name = "POLICY.toml")]
    policy: Option<PathBuf>,
}

/// Adds to the signer's revocation list, in REVOCATIONS/ beside the catalog, and signs it. What was revoked stays so.
///
/// Example: chebyshare catalog revoke --key release.key --entry exp/k64-f16-w10-1e-4 --reason "superseded"
#[derive(Args)]
#[group(id = "subject", required = true, multiple = true, args = ["entry", "root", "signer"])]
pub struct Revoke {
    /// The signer's secret key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// An entry: FUNCTION/STEM, the beginning of a digest, or a whole digest (also of an entry that is gone).
    #[arg(long, value_name = "ENTRY")]
    entry: Vec<String>,
    /// A catalog, by its root: 64 hexadecimal digits, or `this`.
    #[arg(long, value_name = "ROOT")]
    root: Vec<String>,
    /// A signer: its key in 64 hexadecimal digits, or the file of its public key.
    #[arg(long, value_name = "KEY")]
    signer: Vec<String>,
    /// Why, in a line of printable ASCII.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    date: SignedDate,
}

#[derive(Args)]
struct SignedDate {
    /// The date that is signed: 2026-11-21, `today` by this machine's clock, or `none`.
    #[arg(long, value_name = "DATE", default_value = "today")]
    date: String,
}

impl SignedDate {
    fn read(&self) -> Result<Option<Date>, Failure> {
        match self.date.as_str() {
            "none" => Ok(None),
            "today" => Date::today().map(Some).ok_or_else(|| {
                Failure::input("this machine's clock is not between the years 2000 and 9999; give --date")
            }),
            text => Ok(Some(Date::parse(text)?)),
        }
    }
}

#[derive(Serialize)]
struct Key {
    signer: String,
    secret_key: PathBuf,
    public_key: PathBuf,
}

impl Keygen {
    /// Makes the key and says where it is.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        output::check_file_places([], [self.out.as_path()])?;
        let (key, public_key) = undivided(|| SecretKey::generate(&self.out))?;
        let report = Key { signer: key.signer().to_string(), secret_key: self.out.clone(), public_key };
        context.print(&report, |report| {
            format!(
                "signer {}\nkeep {} secret; hand out {}\n",
                report.signer,
                report.secret_key.display(),
                report.public_key.display()
            )
        })
    }
}

#[derive(Serialize)]
struct Signed {
    root: String,
    signer: String,
    date: Option<String>,
    file: PathBuf,
    entries: usize,
}

impl Sign {
    /// Checks and signs.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let date = self.date.read()?;
        let key = SecretKey::read(&self.key)?;
        let catalog = on_disk(&context.catalog)?;
        for (name, published) in catalog.iter() {
            ::verify::check_texts(&published.entry, &published.certificate)
                .map_err(|reason| Failure::claim(format!("nothing is signed: {name} is rejected: {reason}")))?;
        }
        let signature = RootSignature::sign(&key, catalog.root(), date);
        let file = write(&context.catalog, Attachment::Signature, &key.signer(), &signature.to_text())?;
        let report = Signed {
            root: signature.root.to_string(),
            signer: signature.signer.to_string(),
            date: date.map(|date| date.to_string()),
            file,
            entries: catalog.len(),
        };
        context.print(&report, |report| {
            let date = report.date.as_deref().unwrap_or("without a date");
            format!(
                "{} entries hold\nroot   {}\nsigner {}\ndate   {date}\nwritten to {}\n",
                report.entries,
                report.root,
                report.signer,
                report.file.display()
            )
        })
    }
}

/// The catalog in a folder: what is embedded cannot be signed.
fn on_disk(folder: &Path) -> Result<Catalog, Failure> {
    match catalog_folder::beside(folder) {
        Beside::Folder(_) => catalog_folder::open(folder),
        Beside::Embedded(_) => {
            Err(Failure::input(format!("{}: no catalog there to sign; give --catalog", folder.display())))
        }
    }
}

fn write(folder: &Path, kind: Attachment, signer: &SignerKey, text: &str) -> Result<PathBuf, Failure> {
    let file = folder.join(kind.name(signer));
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent).map_err(|error| Failure::Input(format!("{}: {error}", parent.display())))?;
    }
    output::write_texts(&[(&file, text)])?;
    Ok(file)
}

#[derive(Serialize)]
struct Listing {
    root: String,
    signatures: Vec<SignatureRow>,
    revocation_lists: Vec<RevocationRow>,
    policy: Option<PolicyRow>,
}

#[derive(Serialize)]
struct SignatureRow {
    file: String,
    valid: bool,
    signer: Option<String>,
    date: Option<String>,
    root: Option<String>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct RevocationRow {
    file: String,
    valid: bool,
    signer: Option<String>,
    serial: Option<u64>,
    date: Option<String>,
    revoked: Vec<Revoked>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Revoked {
    subject: String,
    reason: String,
}

#[derive(Serialize)]
struct PolicyRow {
    accepted: bool,
    counted: Vec<String>,
    not_counted: Vec<String>,
    reason: Option<String>,
}

impl Signatures {
    /// Verifies and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let catalog = catalog_folder::open(&context.catalog)?;
        let (root, beside) = (catalog.root(), catalog_folder::beside(&context.catalog));
        let policy = self.policy.as_deref().map(Policy::read).transpose()?;
        let decision = policy.as_ref().map(|policy| policy.admit(root, &beside));
        let signatures = beside.names(Attachment::Signature)?;
        let lists = beside.names(Attachment::Revocations)?;
        let listing = Listing {
            root: root.to_string(),
            signatures: signatures.into_iter().map(|name| signature_row(&beside, name, root)).collect(),
            revocation_lists: lists.into_iter().map(|name| revocation_row(&beside, name)).collect(),
            policy: decision.as_ref().map(|decision| policy_row(decision.as_ref())),
        };
        context.print(&listing, listing_text)?;
        let signatures = listing.signatures.iter().filter_map(|row| Some((&row.file, row.reason.as_ref()?)));
        let lists = listing.revocation_lists.iter().filter_map(|row| Some((&row.file, row.reason.as_ref()?)));
        match (decision, signatures.chain(lists).next()) {
            (Some(decision), _) => decision.map(drop).map_err(Failure::from),
            (None, Some((file, reason))) => Err(Failure::claim(format!("{file}: {reason}"))),
            (None, None) => Ok(()),
        }
    }
}

fn signature_row(beside: &Beside, file: String, root: Digest) -> SignatureRow {
    match beside.signature_named(&file) {
        Ok(signature) => SignatureRow {
            valid: signature.root == root,
            signer: Some(signature.signer.to_string()),
            date: signature.date.map(|date| date.to_string()),
            root: Some(signature.root.to_string()),
            reason: (signature.root != root).then(|| format!("it is of another root, {}…", signature.root.short())),
            file,
        },
        Err(error) => {
            let reason = Some(reason_of(error));
            SignatureRow { file, valid: false, signer: None, date: None, root: None, reason }
        }
    }
}

fn revocation_row(beside: &Beside, file: String) -> RevocationRow {
    let described = |list: &RevocationList| {
        let item = |(subject, reason): (&Subject, &Reason)| Revoked {
            subject: subject.to_string(),
            reason: reason.to_string(),
        };
        list.revoked.iter().map(item).collect()
    };
    match beside.revocations_named(&file) {
        Ok(list) => RevocationRow {
            valid: true,
            signer: Some(list.by.to_string()),
            serial: Some(list.serial),
            date: list.date.map(|date| date.to_string()),
            revoked: described(&list),
            reason: None,
            file,
        },
        Err(error) => RevocationRow {
            file,
            valid: false,
            signer: None,
            serial: None,
            date: None,
            revoked: Vec::new(),
            reason: Some(reason_of(error)),
        },
    }
}

/// Without the file's name, which stands beside it.
fn reason_of(error: runtime::trust::Error) -> String {
    match error {
        runtime::trust::Error::Attachment { reason, .. } => reason,
        other => other.to_string(),
    }
}

fn policy_row(decision: Result<&Admission, &runtime::trust::Error>) -> PolicyRow {
    match decision {
        Ok(admission) => PolicyRow {
            accepted: true,
            counted: admission.accepted().iter().map(|accepted| accepted.name.clone()).collect(),
            not_counted: admission.ignored().iter().map(|i| format!("{}: {}", i.name, i.reason)).collect(),
            reason: None,
        },
        Err(error) => {
            PolicyRow { accepted: false, counted: Vec::new(), not_counted: Vec::new(), reason: Some(error.to_string()) }
        }
    }
}

fn listing_text(listing: &Listing) -> String {
    let mut text = format!("root {}\n", listing.root);
    // Names of files come from whoever made the folder: nothing in them may move a cursor.
    let plain = |file: &str| file.escape_debug().to_string();
    let short = |key: &Option<String>| key.as_ref().map_or("-".to_owned(), |key| key[..12].to_owned());
    let said = |reason: &Option<String>| reason.clone().unwrap_or_else(|| "valid".to_owned());
    if listing.signatures.is_empty() {
        text.push_str("no signatures\n");
    } else {
        let row = |row: &SignatureRow| {
            vec![short(&row.signer), row.date.clone().unwrap_or("-".into()), said(&row.reason), plain(&row.file)]
        };
        let rows: Vec<_> = listing.signatures.iter().map(row).collect();
        text.push_str(&table(&["signed by", "date", "verdict", "file"], &rows));
    }
    for row in &listing.revocation_lists {
        let serial = row.serial.map_or("-".to_owned(), |serial| serial.to_string());
        text.push_str(&format!(
            "revocations by {} (serial {serial}, {}): {}, {}\n",
            short(&row.signer),
            row.date.as_deref().unwrap_or("no date"),
            said(&row.reason),
            plain(&row.file)
        ));
        text.extend(row.revoked.iter().map(|item| format!("  {}: {}\n", item.subject, item.reason)));
    }
    if let Some(policy) = &listing.policy {
        match &policy.reason {
            None => text.push_str(&format!("accepted by the policy: signed by {}\n", policy.counted.join(", "))),
            Some(reason) => text.push_str(&format!("REFUSED by the policy: {reason}\n")),
        }
        text.extend(policy.not_counted.iter().map(|line| format!("  not counted: {line}\n")));
    }
    text
}

#[derive(Serialize)]
struct Withdrawn {
    signer: String,
    serial: u64,
    revoked: usize,
    file: PathBuf,
}

impl Revoke {
    /// Extends the list and signs it.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let (date, reason) = (self.date.read()?, Reason::parse(&self.reason)?);
        let key = SecretKey::read(&self.key)?;
        let catalog = on_disk(&context.catalog)?;
        let subjects = self.subjects(&catalog)?;
        let earlier = catalog_folder::beside(&context.catalog).revocations(&key.signer())?;
        let list = RevocationList::extend(&key, earlier.as_ref(), &subjects, &reason, date)?;
        let file = write(&context.catalog, Attachment::Revocations, &list.by, &list.to_text())?;
        let report = Withdrawn { signer: list.by.to_string(), serial: list.serial, revoked: list.revoked.len(), file };
        context.print(&report, |report| {
            format!(
                "signer {} has revoked {} (serial {}), written to {}\n",
                report.signer,
                report.revoked,
                report.serial,
                report.file.display()
            )
        })
    }

    fn subjects(&self, catalog: &Catalog) -> Result<Vec<Subject>, Failure> {
        let mut subjects = Vec::new();
        for entry in &self.entry {
            subjects.push(match (catalog.find(entry), Digest::parse(entry)) {
                (Ok((_, published)), _) => Subject::Entry(Digest::of(Tag::Entry, published.entry.as_bytes())),
                (Err(_), Some(digest)) => Subject::Entry(digest),
                (Err(unknown), None) => return Err(unknown.into()),
            });
        }
        for root in &self.root {
            let digest = if root == "this" { Some(catalog.root()) } else { Digest::parse(root) };
            subjects.push(Subject::Root(digest.ok_or_else(|| {
                Failure::input(format!("'{root}' is not a root; it has 64 lower-case hexadecimal digits"))
            })?));
        }
        for signer in &self.signer {
            let file = Path::new(signer);
            let key = if file.is_file() { SignerKey::read(file) } else { SignerKey::parse(signer) };
            subjects.push(Subject::Signer(key?));
        }
        Ok(subjects)
    }
}
