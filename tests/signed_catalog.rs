//! Signed catalogs as the program meets them: keys, signatures, policies, revocations. Attacks on the texts themselves are
//! tried in the runtime's own tests.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::io::Write;
use support::{INFER, RELU, SIGMOID, TUNE, Workshop};

/// A folder with a plan for the small model, and keys of two signers.
fn workshop() -> Workshop {
    let shop = Workshop::with_plan();
    for key in ["one.key", "two.key"] {
        shop.run(&["catalog", "keygen", "--out", key]).succeeded();
    }
    shop
}

fn key_of(shop: &Workshop, name: &str) -> String {
    let text = shop.read(&format!("{name}.key.public"));
    text.lines().find_map(|line| line.strip_prefix("signer ")).unwrap().to_owned()
}

/// Writes a policy that accepts these signers.
fn policy(shop: &Workshop, minimum: usize, signers: &[&str], more: &str) {
    let mut text = format!("version = 1\nminimum_signatures = {minimum}\n{more}\n");
    for name in signers {
        text += &format!("[[signer]]\nname = \"{name}\"\nkey = \"{}\"\n", key_of(shop, name));
    }
    shop.write("policy.toml", text);
}

fn sign(shop: &Workshop, name: &str) {
    shop.run(&["catalog", "sign", "--key", &format!("{name}.key")]).succeeded();
}

fn with_policy<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--policy", "policy.toml"]].concat()
}

/// Every command that uses the catalog under a policy refuses it in the same way.
fn refused_everywhere(shop: &Workshop, code: i32, parts: &[&str]) {
    for command in [&["verify", "--all"][..], &["verify", RELU], &TUNE, &INFER, &["catalog", "signatures"]] {
        shop.refuses(&with_policy(command), code, parts);
    }
}

#[test]
fn keys_are_private_and_never_printed() {
    let shop = Workshop::new();
    let outcome = shop.run(&["catalog", "keygen", "--out", "one.key"]);
    outcome.succeeded();
    let text = shop.read("one.key");
    let secret = text.lines().find_map(|line| line.strip_prefix("secret ")).unwrap();
    let said = [outcome.stdout, outcome.stderr, shop.read("one.key.public")].concat();
    assert!(!said.contains(secret) && said.contains(&key_of(&shop, "one")));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(shop.path("one.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(shop.path("one.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
        shop.refuses(&["catalog", "sign", "--key", "one.key"], 2, &["one.key", "others can read", "chmod 600"]);
    }
    shop.refuses(&["catalog", "keygen", "--out", "one.key"], 2, &["one.key", "never overwritten"]);
    let outcome = shop.refuses(&["catalog", "sign", "--key", "one.key.public"], 2, &["one.key.public"]);
    assert!(!outcome.stderr.contains(secret));
    shop.refuses(&["catalog", "sign", "--key", "none.key"], 2, &["none.key"]);
}

#[test]
fn enough_signatures_let_every_command_through() {
    let shop = workshop();
    policy(&shop, 2, &["one", "two"], "");
    refused_everywhere(&shop, 1, &["has 0 of 2 signatures", "one: has not signed"]);
    sign(&shop, "one");
    refused_everywhere(&shop, 1, &["has 1 of 2 signatures", "two: has not signed"]);
    sign(&shop, "two");
    for command in [&["verify", "--all"][..], &TUNE, &INFER, &["catalog", "signatures"]] {
        shop.run(&with_policy(command)).succeeded();
    }
    // The signatures lie outside of what the root covers.
    shop.run(&["verify", "--all"]).succeeded();
    let outcome = shop.run(&["--json", "catalog", "signatures", "--policy", "policy.toml"]);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["policy"]["counted"], serde_json::json!(["one", "two"]));
    let valid = report["signatures"].as_array().unwrap().iter().filter(|row| row["valid"] == true).count();
    assert_eq!(valid, 2);
    let listing = shop.run(&["--json", "catalog", "list"]);
    let listing: Value = serde_json::from_str(&listing.stdout).unwrap();
    assert_eq!(report["root"], listing["root"]);
}

#[test]
fn a_catalog_that_changed_after_it_was_signed_is_refused() {
    let shop = workshop();
    policy(&shop, 1, &["one"], "");
    sign(&shop, "one");
    let signature = format!("catalogs/SIGNATURES/{}.sig", key_of(&shop, "one"));
    let old = shop.read(&signature);
    // One entry fewer: a true index, another root.
    shop.publish(&[RELU]);
    refused_everywhere(&shop, 1, &["has 0 of 1 signatures", "one: has signed another root"]);
    // Without a policy it serves as ever, and the listing says what is wrong.
    shop.run(&INFER).succeeded();
    shop.refuses(&["catalog", "signatures"], 1, &["it is of another root"]);
    // Signed anew; the old signature put back is a replay.
    sign(&shop, "one");
    shop.run(&with_policy(&INFER)).succeeded();
    shop.write(&signature, old);
    refused_everywhere(&shop, 1, &["one: has signed another root"]);
}

#[test]
fn old_dates_do_not_count_where_the_policy_says_so() {
    let shop = workshop();
    policy(&shop, 1, &["one"], "not_before = \"2026-06-01\"");
    let sign = |date: &str| shop.run(&["catalog", "sign", "--key", "one.key", "--date", date]);
    sign("2026-05-31").succeeded();
    refused_everywhere(&shop, 1, &["its signature is of 2026-05-31"]);
    sign("none").succeeded();
    refused_everywhere(&shop, 1, &["its signature has no date"]);
    sign("2026-06-01").succeeded();
    shop.run(&with_policy(&["verify", RELU])).succeeded();
    shop.refuses(&["catalog", "sign", "--key", "one.key", "--date", "yesterday"], 2, &["'yesterday' is not a date"]);
}

#[test]
fn a_revoked_entry_is_not_run_not_tuned_and_not_verified() {
    let shop = workshop();
    policy(&shop, 1, &["one"], "");
    sign(&shop, "one");
    sign(&shop, "two");
    let revoke = |key: &str, what: &[&str]| {
        let reason = ["--reason", "the claim was misread"];
        shop.run(&[&["catalog", "revoke", "--key", key][..], what, &reason].concat())
    };
    // A stranger's revocation denies nothing.
    revoke("two.key", &["--entry", RELU, "--root", "this", "--signer", "one.key.public"]).succeeded();
    shop.run(&with_policy(&INFER)).succeeded();
    // Of an entry that the plan does not use.
    revoke("one.key", &["--entry", SIGMOID]).succeeded();
    shop.run(&with_policy(&INFER)).succeeded();
    let parts = ["1 entry is rejected", "one entry is rejected"];
    let outcome = shop.run(&with_policy(&["verify", "--all"]));
    assert!(outcome.code == Some(1) && parts.iter().any(|part| outcome.stderr.contains(part)), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("revoked by one: the claim was misread"), "{}", outcome.stdout);
    // Of one that it does.
    let outcome = revoke("one.key", &["--entry", RELU]);
    outcome.succeeded();
    assert!(outcome.stdout.contains("has revoked 2 (serial 2)"), "{}", outcome.stdout);
    shop.refuses(&with_policy(&INFER), 1, &["entry relu/k64-f16-w9", "is revoked by one: the claim was misread"]);
    shop.refuses(&with_policy(&TUNE), 2, &[]);
    // Without a policy nobody's word counts.
    shop.run(&INFER).succeeded();
    shop.run(&["catalog", "signatures"]).succeeded();
    // The root, by its signer.
    revoke("one.key", &["--root", "this"]).succeeded();
    refused_everywhere(&shop, 1, &["is revoked by one"]);
    shop.refuses(&["catalog", "revoke", "--key", "one.key", "--reason", "x"], 2, &["--entry"]);
    let nothing = ["catalog", "revoke", "--key", "one.key", "--entry", "exp/none", "--reason", "x"];
    shop.refuses(&nothing, 2, &["no entry 'exp/none'"]);
}

#[test]
fn policies_that_cannot_be_used_stop_everything() {
    let shop = workshop();
    sign(&shop, "one");
    refused_everywhere(&shop, 2, &["policy policy.toml"]);
    for (text, part) in [("", "missing field"), ("version = 1\nminimum_signatures = 0\n", "`minimum_signatures` is 0")]
    {
        shop.write("policy.toml", text);
        refused_everywhere(&shop, 2, &["policy policy.toml", part]);
    }
    policy(&shop, 2, &["one", "one"], "");
    refused_everywhere(&shop, 2, &["given twice"]);
}

#[test]
fn a_catalog_with_a_false_claim_is_not_signed() {
    let shop = workshop();
    shop.republish(SIGMOID, |published| {
        published.entry = published.entry.replace("bound 9.98467e-4", "bound 9.98466e-4");
        support::rename_entry_in_certificate(published);
    });
    shop.refuses(&["catalog", "sign", "--key", "one.key"], 1, &["nothing is signed", SIGMOID, "is rejected"]);
}

/// Each party decides by its own policy, from its own configuration file.
#[test]
fn a_party_with_a_policy_refuses_by_itself() {
    let shop = workshop();
    policy(&shop, 1, &["one"], "");
    shop.run(&["keys", "--out", "keys", "model", "data", "helper"]).succeeded();
    let config = "session = \"s\"\nparty = 2\nrole = \"helper\"\ncertificate = \"keys/helper.certificate.pem\"\n\
                  private_key = \"keys/helper.private-key.pem\"\nplan = \"plan.toml\"\npolicy = \"policy.toml\"\n\
                  connect_seconds = 0.2\n[owners]\nmodel = 0\ninput = 1\noutput = 1\n\
                  [[peer]]\nparty = 0\nrole = \"model\"\naddress = \"127.0.0.1:9\"\ncertificate = \"keys/model.certificate.pem\"\n\
                  [[peer]]\nparty = 1\nrole = \"data\"\naddress = \"127.0.0.1:9\"\ncertificate = \"keys/data.certificate.pem\"\n";
    shop.write("party.toml", config);
    shop.refuses(&["party", "--config", "party.toml"], 1, &["has 0 of 1 signatures", "one: has not signed"]);
    sign(&shop, "one");
    // Accepted: it goes on to look for the others, of whom there are none.
    shop.run(&["party", "--config", "party.toml"]).failed(3, &[]);
    shop.write("party.toml", config.replace("\"policy.toml\"", "\"none.toml\""));
    shop.refuses(&["party", "--config", "party.toml"], 2, &["none.toml"]);
}

/// The recipe of `proofs/FORMAT.md`, by a program that shares nothing with ours.
#[test]
fn openssl_verifies_the_same_signatures() {
    let shop = workshop();
    sign(&shop, "one");
    let text = shop.read(&format!("catalogs/SIGNATURES/{}.sig", key_of(&shop, "one")));
    let (statement, rest) = text.split_at(text.rfind("signature ").unwrap());
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap()).collect()
    };
    let hex = rest.lines().next().unwrap().strip_prefix("signature ").unwrap();
    shop.write("signature", bytes(hex));
    shop.write("key.der", bytes(&format!("302a300506032b6570032100{}", key_of(&shop, "one"))));
    let verify = |message: String| {
        shop.write("message", message);
        let arguments = ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin"];
        let files = ["-in", "message", "-sigfile", "signature"];
        let mut command = std::process::Command::new("openssl");
        command.args(arguments).args(files).current_dir(shop.path(".")).output()
    };
    match verify(format!("chebyshare 2026 catalog signature 1\0{statement}")) {
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "NOT RUN: openssl is not here ({error})");
            return;
        }
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
    }
    let bare = verify(statement.to_owned()).unwrap();
    assert!(!bare.status.success(), "a signature without its context verifies");
}
