//! Attacks first: every way that was thought of to have a catalog accepted, or refused, by somebody who may not.

use super::*;
use catalogs::digest::Tag;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A folder for a catalog, with signers' keys outside of it.
struct Desk {
    folder: TempDir,
    keys: Vec<SecretKey>,
}

impl Desk {
    fn new(signers: usize) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("catalogs/SIGNATURES")).unwrap();
        fs::create_dir_all(folder.path().join("catalogs/REVOCATIONS")).unwrap();
        let key = |number: usize| SecretKey::generate(&folder.path().join(format!("{number}.key"))).unwrap().0;
        let keys = (0..signers).map(key).collect();
        Desk { folder, keys }
    }

    fn key(&self, signer: usize) -> SignerKey {
        self.keys[signer].signer()
    }

    fn beside(&self) -> Beside {
        Beside::Folder(self.folder.path().join("catalogs"))
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join("catalogs").join(name), text).unwrap();
    }

    fn sign(&self, signer: usize, root: Digest, date: Option<&str>) {
        let date = date.map(|date| Date::parse(date).unwrap());
        let text = RootSignature::sign(&self.keys[signer], root, date).to_text();
        self.put(&Attachment::Signature.name(&self.key(signer)), text);
    }

    fn revoke(&self, signer: usize, subjects: &[Subject]) {
        let earlier = self.beside().revocations(&self.key(signer)).unwrap();
        let reason = Reason::parse("withdrawn for a test").unwrap();
        let list = RevocationList::extend(&self.keys[signer], earlier.as_ref(), subjects, &reason, None).unwrap();
        self.put(&Attachment::Revocations.name(&self.key(signer)), list.to_text());
    }

    /// A policy that accepts these signers.
    fn policy(&self, minimum: usize, signers: &[usize], more: &str) -> Policy {
        self.try_policy(minimum, signers, more).unwrap()
    }

    fn try_policy(&self, minimum: usize, signers: &[usize], more: &str) -> Result<Policy> {
        let mut text = format!("version = 1\nminimum_signatures = {minimum}\n{more}\n");
        for &signer in signers {
            text += &format!("[[signer]]\nname = \"signer {signer}\"\nkey = \"{}\"\n", self.key(signer));
        }
        Policy::parse(&text, Path::new("policy.toml"))
    }
}

fn root(name: &str) -> Digest {
    Digest::of(Tag::Catalog, name.as_bytes())
}

fn refusal<T: std::fmt::Debug>(result: Result<T>, parts: &[&str]) {
    let error = result.unwrap_err();
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing in: {text}");
    }
}

#[test]
fn enough_signatures_admit_and_one_fewer_does_not() {
    let desk = Desk::new(3);
    desk.sign(0, root("this"), None);
    let policy = desk.policy(2, &[0, 1, 2], "");
    refusal(policy.admit(root("this"), &desk.beside()), &["1 of 2 signatures", "signer 1: has not signed"]);
    desk.sign(2, root("this"), None);
    let admission = policy.admit(root("this"), &desk.beside()).unwrap();
    assert_eq!(admission.accepted().iter().map(|a| a.key).collect::<Vec<_>>(), [desk.key(0), desk.key(2)]);
    assert_eq!(admission.ignored().len(), 1);
    let nothing = Beside::Folder(desk.folder.path().join("elsewhere"));
    refusal(policy.admit(root("this"), &nothing), &["0 of 2"]);
    refusal(policy.admit(root("this"), &Beside::Embedded(&[])), &["0 of 2"]);
}

#[test]
fn a_signature_of_another_root_or_of_an_old_one_does_not_count() {
    let desk = Desk::new(1);
    desk.sign(0, root("old"), Some("2026-01-31"));
    refusal(desk.policy(1, &[0], "").admit(root("new"), &desk.beside()), &["0 of 1", "has signed another root"]);
    // The whole old catalog with its old signature: the root fits, and only the date tells.
    desk.policy(1, &[0], "").admit(root("old"), &desk.beside()).unwrap();
    let later = "not_before = \"2026-02-01\"";
    refusal(desk.policy(1, &[0], later).admit(root("old"), &desk.beside()), &["0 of 1", "is of 2026-01-31"]);
    desk.sign(0, root("old"), None);
    refusal(desk.policy(1, &[0], later).admit(root("old"), &desk.beside()), &["0 of 1", "has no date"]);
    desk.sign(0, root("old"), Some("2026-02-01"));
    desk.policy(1, &[0], later).admit(root("old"), &desk.beside()).unwrap();
}

/// A text that is right but for what it was signed as.
fn signed_as(key: &SecretKey, context: &[u8]) -> String {
    let text = RootSignature::sign(key, root("this"), None).to_text();
    let statement = &text[..text.rfind("signature ").unwrap()];
    let signature = key.sign(&[context, statement.as_bytes()].concat());
    format!("{statement}signature {}\nend\n", hexadecimal(&signature))
}

#[test]
fn a_signature_without_its_context_is_not_one() {
    let desk = Desk::new(1);
    let key = &desk.keys[0];
    RootSignature::parse(&signed_as(key, SIGNATURE_CONTEXT)).unwrap();
    for context in [&b""[..], REVOCATION_CONTEXT, b"chebyshare 2026 catalog signature 1", b"chebyshare 2026 catalog 1"]
    {
        refusal(RootSignature::parse(&signed_as(key, context)), &["the signature is not valid"]);
    }
    // What a naive signer would sign: the root alone.
    let statement = format!("chebyshare signature 1\nroot {}\ndate none\nsigner {}\n", root("this"), key.signer());
    for message in [root("this").bytes().to_vec(), root("this").to_string().into_bytes()] {
        let text = format!("{statement}signature {}\nend\n", hexadecimal(&key.sign(&message)));
        refusal(RootSignature::parse(&text), &["the signature is not valid"]);
    }
}

/// y = 1, x = 0: the neutral element.
const NEUTRAL: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

#[test]
fn keys_for_which_anybody_can_sign_are_refused() {
    // The verification equation alone accepts (neutral, 0) of every message under the neutral key: this is why.
    let mut forged = [0u8; 64];
    forged[..32].copy_from_slice(&NEUTRAL);
    let naive = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, NEUTRAL);
    assert!(naive.verify(b"whatever", &forged).is_ok(), "the attack that this guards against does not exist");
    refusal(SignerKey::parse(&hexadecimal(&NEUTRAL)), &["small order"]);
    let small = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    ];
    for key in small {
        refusal(SignerKey::parse(key), &["small order"]);
    }
    // y = p, p + 1 and p + 18: second spellings of 0, 1 and 18.
    for first in ["ed", "ee", "ff"] {
        for last in ["7f", "ff"] {
            refusal(SignerKey::parse(&format!("{first}{}{last}", "ff".repeat(30))), &["canonical"]);
        }
    }
}

/// That the list above is complete: for every small-order key, a forged signature of some message verifies.
#[test]
fn every_listed_key_of_small_order_really_is_one() {
    for sign in [0u8, 0x80] {
        for mut key in [
            from_hexadecimal::<32>(&hexadecimal(&[0; 32])).unwrap(),
            from_hexadecimal("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f").unwrap(),
            from_hexadecimal("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a").unwrap(),
            from_hexadecimal("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05").unwrap(),
        ] {
            // −1 has x = 0 only, so that its other sign is not a point.
            if key[0] == 0xec && sign == 0x80 {
                continue;
            }
            key[31] |= sign;
            let mut forged = [0u8; 64];
            forged[..32].copy_from_slice(&NEUTRAL);
            let naive = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
            // (neutral, 0) verifies whenever the hash is a multiple of the key's order, that is at least one in eight.
            let found = (0..400u32).any(|message| naive.verify(&message.to_le_bytes(), &forged).is_ok());
            assert!(found, "{}", hexadecimal(&key));
        }
    }
}

#[test]
fn texts_that_are_not_keys_are_refused() {
    let good = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    SignerKey::parse(good).unwrap();
    for bad in ["", &good[1..], &good.to_uppercase(), &format!("{good}00"), &format!(" {good}"), "é", &"g".repeat(64)]
    {
        refusal(SignerKey::parse(bad), &["64 hexadecimal digits"]);
    }
    // Not a point of the curve: parsed, but nothing verifies under it.
    let no_point = SignerKey::parse(&format!("02{}", "00".repeat(31))).unwrap();
    let desk = Desk::new(1);
    let text = RootSignature::sign(&desk.keys[0], root("this"), None).to_text();
    let text = text.replace(&desk.key(0).to_string(), &no_point.to_string());
    refusal(RootSignature::parse(&text), &["the signature is not valid"]);
}

/// RFC 8032, section 7.1, test 1: the key of a seed, and the signature of the empty message.
#[test]
fn keys_and_signatures_are_those_of_the_standard() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("standard.key");
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    private(&file, &format!("chebyshare secret key 1\nsigner {public}\nsecret {seed}\nend\n"));
    let key = SecretKey::read(&file).unwrap();
    assert_eq!(key.signer().to_string(), public);
    let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                     d25bf5f0595bbe24655141438e7a100b";
    assert_eq!(hexadecimal(&key.sign(b"")), signature);
}

fn private(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn one_signer_is_never_counted_twice() {
    let desk = Desk::new(2);
    desk.sign(0, root("this"), None);
    // A policy that names the key twice.
    refusal(desk.try_policy(2, &[0, 0], ""), &["given twice"]);
    // The same file under the other signer's name.
    let text = RootSignature::sign(&desk.keys[0], root("this"), None).to_text();
    desk.put(&Attachment::Signature.name(&desk.key(1)), &text);
    let policy = desk.policy(2, &[0, 1], "");
    refusal(policy.admit(root("this"), &desk.beside()), &["1 of 2", "signer 1:", "by another signer"]);
    // The same signature with the other signer's key written in.
    let text = text.replace(&desk.key(0).to_string(), &desk.key(1).to_string());
    desk.put(&Attachment::Signature.name(&desk.key(1)), &text);
    refusal(policy.admit(root("this"), &desk.beside()), &["1 of 2", "the signature is not valid"]);
}

#[test]
fn no_byte_of_a_signature_or_a_list_can_be_changed() {
    let desk = Desk::new(1);
    let date = Date::parse("2026-11-21").unwrap();
    let signature = RootSignature::sign(&desk.keys[0], root("this"), Some(date)).to_text();
    let reason = Reason::parse("the claim was misread").unwrap();
    let subjects = [Subject::Entry(root("entry")), Subject::Root(root("root")), Subject::Signer(desk.key(0))];
    let list = RevocationList::extend(&desk.keys[0], None, &subjects, &reason, Some(date)).unwrap().to_text();
    assert!(RootSignature::parse(&signature).is_ok() && RevocationList::parse(&list).is_ok());
    for (text, parse) in [
        (&signature, &(|text: &str| RootSignature::parse(text).is_ok()) as &dyn Fn(&str) -> bool),
        (&list, &|text| RevocationList::parse(text).is_ok()),
    ] {
        for position in 0..text.len() {
            for replacement in [b'0', b'a', b' ', b'\n', b'x'] {
                let mut bytes = text.clone().into_bytes();
                if bytes[position] != replacement {
                    bytes[position] = replacement;
                    assert!(!parse(&String::from_utf8(bytes).unwrap()), "byte {position} as {replacement}");
                }
            }
            assert!(!parse(&text[..position]), "cut at {position}");
        }
        let more = ["\n", " ", "end\n", "x", "\0", "# seen\n"].map(|more| format!("{text}{more}"));
        let spelled =
            [text.replace('\n', "\r\n"), text.replace("date ", "date  "), text.replace("\nend", " # ok\nend")];
        let upper = text.replace(&root("root").to_string(), &root("root").to_string().to_uppercase());
        for changed in more.iter().chain(&spelled).chain([&format!("\u{feff}{text}")]) {
            assert!(!parse(changed), "{changed:?}");
        }
        assert!(upper == *text || !parse(&upper));
    }
}

/// S + L is the same scalar; a verifier that takes it gives every signature a twin.
#[test]
fn signatures_have_one_spelling() {
    let desk = Desk::new(1);
    let text = RootSignature::sign(&desk.keys[0], root("this"), None).to_text();
    let hex = text.lines().find_map(|line| line.strip_prefix("signature ")).unwrap().to_owned();
    let mut bytes: [u8; 64] = from_hexadecimal(&hex).unwrap();
    let order: [u8; 32] = from_hexadecimal("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0u16;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    refusal(RootSignature::parse(&text.replace(&hex, &hexadecimal(&bytes))), &["the signature is not valid"]);
}

#[test]
fn strangers_can_neither_sign_nor_revoke_nor_deny_service() {
    let desk = Desk::new(2);
    let entry = root("an entry");
    desk.sign(0, root("this"), None);
    let policy = desk.policy(1, &[0], "");
    // Signer 1 is not in the policy: it revokes everything, and signs something else.
    desk.revoke(1, &[Subject::Entry(entry), Subject::Root(root("this")), Subject::Signer(desk.key(0))]);
    desk.sign(1, root("other"), None);
    desk.put("SIGNATURES/garbage.sig", [0xff; 10]);
    desk.put("REVOCATIONS/garbage.revoked", "revoke everything\n");
    desk.put(&Attachment::Revocations.name(&desk.key(1)), vec![b'x'; 3 << 20]);
    policy.admit(root("this"), &desk.beside()).unwrap().check_entry("exp/one", entry).unwrap();
    // And a stranger's signature does not count.
    let desk = Desk::new(2);
    desk.sign(1, root("this"), None);
    refusal(desk.policy(1, &[0], "").admit(root("this"), &desk.beside()), &["0 of 1", "has not signed"]);
}

#[test]
fn what_an_accepted_signer_revokes_is_refused() {
    let desk = Desk::new(3);
    (0..3).for_each(|signer| desk.sign(signer, root("this"), None));
    let (bad, good) = (root("bad"), root("good"));
    desk.revoke(1, &[Subject::Entry(bad)]);
    let admission = desk.policy(1, &[0, 1], "").admit(root("this"), &desk.beside()).unwrap();
    refusal(admission.check_entry("exp/bad", bad), &["entry exp/bad", "revoked by signer 1", "withdrawn for a test"]);
    admission.check_entry("exp/good", good).unwrap();
    // A signer.
    desk.revoke(1, &[Subject::Signer(desk.key(0))]);
    refusal(
        desk.policy(2, &[0, 1], "").admit(root("this"), &desk.beside()),
        &["1 of 2", "signer 0: revoked by signer 1: withdrawn"],
    );
    // Two that revoke each other are both out, in whatever order the policy names them.
    desk.revoke(0, &[Subject::Signer(desk.key(1))]);
    for order in [[0, 1, 2], [2, 1, 0]] {
        let admission = desk.policy(1, &order, "").admit(root("this"), &desk.beside()).unwrap();
        assert_eq!(admission.accepted().iter().map(|a| a.key).collect::<Vec<_>>(), [desk.key(2)]);
        admission.check_entry("exp/bad", bad).unwrap_err();
    }
    // The root.
    desk.revoke(2, &[Subject::Root(root("this"))]);
    refusal(desk.policy(1, &[2], "").admit(root("this"), &desk.beside()), &["root", "revoked by signer 2"]);
}

#[test]
fn a_policy_revokes_by_itself_and_silences_a_stolen_key() {
    let desk = Desk::new(2);
    (0..2).for_each(|signer| desk.sign(signer, root("this"), None));
    desk.revoke(1, &[Subject::Root(root("this")), Subject::Signer(desk.key(0))]);
    refusal(desk.policy(1, &[0, 1], "").admit(root("this"), &desk.beside()), &["revoked by signer 1"]);
    let stolen = format!("[[revoked]]\nsigner = \"{}\"\nreason = \"the key was stolen\"", desk.key(1));
    let policy = desk.policy(1, &[0, 1], &stolen);
    let admission = policy.admit(root("this"), &desk.beside()).unwrap();
    assert_eq!(admission.accepted().len(), 1);
    assert_eq!(admission.ignored()[0].reason, "revoked by the policy: the key was stolen");
    for (kind, parts) in [("root", "root"), ("entry", "entry exp/x")] {
        let text = format!("[[revoked]]\n{kind} = \"{}\"\nreason = \"ours\"", root("this"));
        let outcome = desk.policy(1, &[0], &text).admit(root("this"), &desk.beside());
        refusal(outcome.and_then(|a| a.check_entry("exp/x", root("this"))), &[parts, "revoked by the policy: ours"]);
    }
}

#[test]
fn a_damaged_or_withheld_list_of_an_accepted_signer_is_a_refusal() {
    let desk = Desk::new(1);
    desk.sign(0, root("this"), None);
    let name = Attachment::Revocations.name(&desk.key(0));
    desk.revoke(0, &[Subject::Entry(root("bad"))]);
    let asking = |serial: u64| {
        let text = format!(
            "version = 1\nminimum_signatures = 1\n[[signer]]\nname = \"a\"\nkey = \"{}\"\nleast_serial = {serial}\n",
            desk.key(0)
        );
        Policy::parse(&text, Path::new("policy.toml")).unwrap().admit(root("this"), &desk.beside())
    };
    asking(1).unwrap();
    refusal(asking(2), &["serial number 1", "asks for 2"]);
    desk.revoke(0, &[Subject::Entry(root("worse"))]);
    asking(2).unwrap();
    for damage in ["", "chebyshare revocations 1\n", "\u{0}"] {
        desk.put(&name, damage);
        refusal(asking(0), &[&name]);
    }
    fs::remove_file(desk.folder.path().join("catalogs").join(&name)).unwrap();
    asking(0).unwrap();
    refusal(asking(1), &["serial number 0", "fetch the newer list"]);
}

#[test]
fn files_that_are_no_texts_neither_hang_nor_fill_memory() {
    let desk = Desk::new(1);
    let policy = desk.policy(1, &[0], "");
    let name = Attachment::Signature.name(&desk.key(0));
    desk.put(&name, vec![b'a'; 5 << 20]);
    refusal(policy.admit(root("this"), &desk.beside()), &["more than 1024 bytes"]);
    desk.put(&name, [0xff, 0xfe]);
    refusal(policy.admit(root("this"), &desk.beside()), &["not UTF-8"]);
    let path = desk.folder.path().join("catalogs").join(&name);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refusal(policy.admit(root("this"), &desk.beside()), &["not a file"]);
    #[cfg(unix)]
    {
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        refusal(policy.admit(root("this"), &desk.beside()), &["not a file"]);
    }
}

#[test]
fn every_mistake_in_a_policy_is_named() {
    let desk = Desk::new(1);
    let key = desk.key(0).to_string();
    let signer = format!("[[signer]]\nname = \"a\"\nkey = \"{key}\"\n");
    let good = format!("version = 1\nminimum_signatures = 1\n{signer}");
    Policy::parse(&good, Path::new("policy.toml")).unwrap();
    let revoked = |what: &str| format!("{good}[[revoked]]\n{what}\n");
    let digest = root("x");
    let cases = [
        (String::new(), "missing field `version`"),
        (good.replace("version = 1", "version = 2"), "version 2 is not known"),
        (good.replace("minimum_signatures = 1\n", ""), "missing field `minimum_signatures`"),
        (good.replace("signatures = 1", "signatures = 0"), "`minimum_signatures` is 0"),
        (good.replace("signatures = 1", "signatures = 2"), "`minimum_signatures` is 2"),
        (good.replace("signatures = 1", "signatures = -1"), "invalid value"),
        (good.replace("version = 1", "version = 1\nsurprise = 1"), "unknown field `surprise`"),
        (good.replace("[[signer]]", "[[signers]]"), "unknown field `signers`"),
        (good.replace(&key, &key[2..]), "64 hexadecimal digits"),
        (good.replace(&key, &hexadecimal(&NEUTRAL)), "small order"),
        (good.replace("\"a\"", "\"a\\u0007\""), "`signer.name`"),
        (format!("{good}{signer}"), "given twice"),
        (good.replace("version = 1", "version = 1\nnot_before = \"2026-02-30\""), "`not_before`"),
        (revoked("reason = \"r\""), "exactly one of"),
        (revoked(&format!("entry = \"{digest}\"\nroot = \"{digest}\"\nreason = \"r\"")), "exactly one of"),
        (revoked(&format!("entry = \"{digest}\"")), "missing field `reason`"),
        (revoked("entry = \"12\"\nreason = \"r\""), "64 lower-case"),
        (revoked(&format!("entry = \"{digest}\"\nreason = \"r\\nr\"")), "a reason has"),
        (revoked(&format!("signer = \"{key}\"\nreason = \"r\"")), "there are 0 accepted signers"),
        ("version = ".to_owned(), "policy policy.toml"),
    ];
    for (text, part) in cases {
        refusal(Policy::parse(&text, Path::new("policy.toml")), &["policy policy.toml", part]);
    }
    let missing = Policy::read(Path::new("no/such/policy.toml"));
    assert!(!missing.as_ref().unwrap_err().is_refusal());
    refusal(missing, &["policy no/such/policy.toml"]);
    refusal(Policy::read(desk.folder.path()), &["not a file"]);
}

#[test]
fn secret_keys_stay_private() {
    let desk = Desk::new(1);
    let file = desk.folder.path().join("0.key");
    let text = fs::read_to_string(&file).unwrap();
    let secret = text.lines().find_map(|line| line.strip_prefix("secret ")).unwrap().to_owned();
    assert!(!format!("{:?}", desk.keys[0]).contains(&secret));
    let public = desk.folder.path().join("0.key.public");
    assert!(!fs::read_to_string(&public).unwrap().contains(&secret));
    assert_eq!(SignerKey::read(&public).unwrap(), desk.key(0));
    refusal(SignerKey::read(&file), &["not a public key"]);
    assert_eq!(SecretKey::read(&file).unwrap().signer(), desk.key(0));
    refusal(SecretKey::generate(&file), &["exists already"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    // A new name whose public file exists.
    let other = desk.folder.path().join("other");
    fs::write(desk.folder.path().join("other.public"), "kept").unwrap();
    refusal(SecretKey::generate(&other), &["exists already"]);
    assert!(!other.exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            refusal(SecretKey::read(&file), &["others can read", "chmod 600"]);
        }
    }
    let wrong = [
        text.replace("secret key", "public key"),
        text.replace(&secret, &secret[1..]),
        text.replace(&desk.key(0).to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        format!("{text}\n"),
        String::new(),
        "x".repeat(5000),
    ];
    for text in wrong {
        private(&file, &text);
        let message = SecretKey::read(&file).unwrap_err().to_string();
        assert!(message.contains("not a") && !message.contains(&secret[8..24]), "{message}");
    }
    refusal(SecretKey::read(desk.folder.path()), &["others can read"]);
}

#[test]
fn revocation_lists_only_grow() {
    let desk = Desk::new(2);
    let reason = |text: &str| Reason::parse(text).unwrap();
    let subjects = [Subject::Entry(root("one"))];
    let first = RevocationList::extend(&desk.keys[0], None, &subjects, &reason("first"), None).unwrap();
    let more = [Subject::Entry(root("one")), Subject::Root(root("two"))];
    let second = RevocationList::extend(&desk.keys[0], Some(&first), &more, &reason("second"), None).unwrap();
    assert_eq!((first.serial, second.serial, second.revoked.len()), (1, 2, 2));
    assert_eq!(second.revoked[&Subject::Entry(root("one"))], reason("first"));
    assert_eq!(RevocationList::parse(&second.to_text()).unwrap(), second);
    let line = format!("entry {} first\n", root("one"));
    for twice in [format!("{line}{line}"), line.replace("first", "another") + &line] {
        refusal(RevocationList::parse(&first.to_text().replace(&line, &twice)), &["canonical"]);
    }
    refusal(RevocationList::extend(&desk.keys[1], Some(&first), &[], &reason("x"), None), &["the earlier list is by"]);
    for bad in ["", " a", "a  b", "a\n", "a\u{1b}[2J", "a # b", "é", &"x".repeat(201)] {
        refusal(Reason::parse(bad), &["a reason has"]);
    }
}

#[test]
fn dates_have_one_spelling() {
    for good in ["2000-01-01", "2024-02-29", "2026-11-21", "9999-12-31"] {
        assert_eq!(Date::parse(good).unwrap().to_string(), good);
    }
    for bad in
        ["", "2026-11-31", "2026-02-29", "1999-12-31", "2026-1-01", "2026-00-10", "2026-11-21Z", "+026-11-21", "none"]
    {
        refusal(Date::parse(bad), &["is not a date"]);
    }
    assert!(Date::today().unwrap() >= Date::parse("2026-01-01").unwrap());
}
