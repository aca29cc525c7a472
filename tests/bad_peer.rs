//! A deployment whose parties start apart: ports, certificates, plans and deaths.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::TcpListener;
use std::time::Duration;
use support::{Outcome, Running, Workshop};

const ROLES: [&str; 3] = ["model", "data", "helper"];
/// A network on which a run of the small model takes some 20 s.
const SLOW: &str = "round_trip_seconds = 1.0\nbits_per_second = 1e9\n";
/// Greetings and weights take four messages one after the other.
const INTO_THE_RUN: Duration = Duration::from_secs(4);

/// Keys and a configuration file for each of three parties. `connect` are the seconds to find each other.
fn deploy(shop: &Workshop, connect: f64) -> [String; 3] {
    shop.run(&["keys", "--out", "keys", "model", "data", "helper"]).succeeded();
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = held.map(|listener| listener.local_addr().unwrap().to_string());
    for (party, role) in ROLES.iter().enumerate() {
        let mut text = format!(
            "session = \"test\"\nparty = {party}\nrole = \"{role}\"\nlisten = \"{}\"\n\
             certificate = \"keys/{role}.certificate.pem\"\nprivate_key = \"keys/{role}.private-key.pem\"\n\
             plan = \"plan.toml\"\nconnect_seconds = {connect:.1}\nreceive_seconds = 3.0\nnetwork = \"slow.toml\"\n",
            addresses[party]
        );
        text += ["model = \"model.onnx\"\n", "input = \"input.npz\"\noutput = \"scores.npz\"\n", ""][party];
        text += "[owners]\nmodel = 0\ninput = 1\noutput = 1\n";
        for (other, role) in ROLES.iter().enumerate().filter(|(other, _)| *other != party) {
            text += &format!(
                "[[peer]]\nparty = {other}\nrole = \"{role}\"\naddress = \"{}\"\n\
                 certificate = \"keys/{role}.certificate.pem\"\n",
                addresses[other]
            );
        }
        shop.write(&format!("{role}.toml"), text);
    }
    shop.write("slow.toml", "round_trip_seconds = 0.0\nbits_per_second = 1e9\n");
    addresses
}

fn start(shop: &Workshop, role: &str) -> Running {
    shop.start(&["party", "--config", &format!("{role}.toml")])
}

fn start_all(shop: &Workshop) -> [Running; 3] {
    ROLES.map(|role| start(shop, role))
}

fn finish(shop: &Workshop, parties: [Running; 3]) -> [Outcome; 3] {
    parties.map(|party| shop.watch(party))
}

#[test]
fn three_parties_that_agree() {
    let shop = Workshop::with_plan();
    deploy(&shop, 10.0);
    finish(&shop, start_all(&shop)).iter().for_each(Outcome::succeeded);
    assert!(shop.path("scores.npz").exists());
}

#[test]
fn a_port_in_use() {
    let shop = Workshop::with_plan();
    let addresses = deploy(&shop, 1.0);
    let before = shop.listing();
    let _taken = TcpListener::bind(&addresses[0]).unwrap();
    let outcomes = finish(&shop, start_all(&shop));
    outcomes[0].failed(3, &[&addresses[0], "already in use", "choose another address"]);
    assert!(outcomes[0].seconds < 1.0);
    for outcome in &outcomes[1..] {
        outcome.failed(3, &["party 0", &addresses[0], "1 s"]);
        assert!(outcome.seconds < 8.0);
    }
    assert_eq!(shop.listing(), before);
}

#[test]
fn a_peer_that_never_comes() {
    let shop = Workshop::with_plan();
    let addresses = deploy(&shop, 1.0);
    let before = shop.listing();
    let (model, data) = (start(&shop, "model"), start(&shop, "data"));
    let (model, data) = (shop.watch(model), shop.watch(data));
    model.failed(3, &["party 2 did not connect to", &addresses[0], "within 1 s", "check that it was started"]);
    data.failed(3, &["party 2 did not connect to", &addresses[1], "within 1 s"]);
    let helper = shop.watch(start(&shop, "helper"));
    helper.failed(3, &["could not be reached at", "within 1 s", "Connection refused", "check that it was started"]);
    assert!([model, data, helper].iter().all(|outcome| outcome.seconds < 5.0));
    assert_eq!(shop.listing(), before);
}

#[test]
fn a_wrong_certificate() {
    let shop = Workshop::with_plan();
    deploy(&shop, 5.0);
    shop.run(&["keys", "--out", "other", "data"]).succeeded();
    // Party 1 has a fresh identity of which the others do not know.
    shop.replace("data.toml", "keys/data.certificate.pem", "other/data.certificate.pem");
    shop.replace("data.toml", "keys/data.private-key.pem", "other/data.private-key.pem");
    let before = shop.listing();
    let outcomes = finish(&shop, start_all(&shop));
    outcomes[0].failed(3, &["party 1 did not connect", "certificate", "is not configured here"]);
    outcomes[1].failed(3, &["refused this party's certificate", "check the certificate file"]);
    outcomes[2].failed(3, &["party 1 at", "presented certificate", "is configured: check the peer's certificate file"]);
    assert!(outcomes.iter().all(|outcome| outcome.seconds < 15.0));
    assert_eq!(shop.listing(), before);
}

#[test]
fn key_files_that_are_not() {
    let shop = Workshop::with_plan();
    deploy(&shop, 1.0);
    let key = shop.read("keys/helper.private-key.pem");
    let readable = |mode: &str| {
        let path = shop.path("keys/helper.private-key.pem");
        assert!(std::process::Command::new("chmod").arg(mode).arg(path).status().unwrap().success());
    };
    let party = ["party", "--config", "helper.toml"];
    readable("644");
    shop.refuses(&party, 2, &["helper.private-key.pem", "others can read", "chmod 600"]);
    readable("600");
    shop.write("keys/helper.private-key.pem", key.replacen("PRIVATE", "PUBLIC", 2));
    shop.refuses(&party, 2, &["helper.private-key.pem", "no PEM private key"]);
    shop.write("keys/helper.private-key.pem", shop.read("keys/model.private-key.pem"));
    let outcome = shop.run(&party);
    outcome.failed(2, &["certificate and private key cannot be used together"]);
    shop.write("helper.toml", "party = \"two\"\n");
    shop.refuses(&party, 2, &["helper.toml"]);
    shop.refuses(&["party", "--config", "nobody.toml"], 2, &["nobody.toml", "No such file"]);
}

#[test]
fn different_plans_at_two_parties() {
    let shop = Workshop::with_plan();
    deploy(&shop, 5.0);
    // A batch of another size, tuned in order: a good plan, but not the same.
    shop.run(&[
        "tune",
        "model.onnx",
        "--calibration",
        "calibration.npz",
        "--batch",
        "5",
        "--input-range=-1,1",
        "--out",
        "other.toml",
    ])
    .succeeded();
    shop.replace("helper.toml", "plan = \"plan.toml\"", "plan = \"other.toml\"");
    let before = shop.listing();
    let outcomes = finish(&shop, start_all(&shop));
    for outcome in &outcomes {
        outcome.failed(3, &["plan"]);
        assert!(outcome.seconds < 8.0);
    }
    outcomes[2].failed(3, &["disagrees about the plan digest", "all parties need the same"]);
    assert_eq!(shop.listing(), before);
}

/// How many runs are side by side, all parties say: none holds the values of more than it agreed to.
#[test]
fn more_runs_side_by_side_than_a_party_executes() {
    let shop = Workshop::with_plan();
    deploy(&shop, 5.0);
    let at = |role: &str, runs: u64| {
        let plan = "plan = \"plan.toml\"\n";
        shop.replace(&format!("{role}.toml"), plan, &format!("{plan}side_by_side = {runs}\n"));
    };
    at("data", 3);
    at("model", 4);
    let before = shop.listing();
    let outcomes = finish(&shop, start_all(&shop));
    // Ten inputs are three runs. The plan has one after the other, and the helper's file says nothing else.
    outcomes[2].failed(3, &["asks for 3 runs side by side", "executes 1 at most", "`side_by_side`"]);
    outcomes[..2].iter().for_each(|outcome| outcome.failed(3, &["party 2"]));
    assert_eq!(shop.listing(), before);
    at("helper", 3);
    finish(&shop, start_all(&shop)).iter().for_each(Outcome::succeeded);
    assert!(shop.path("scores.npz").exists());
}

#[test]
fn different_owners_or_session_names() {
    let shop = Workshop::with_plan();
    deploy(&shop, 5.0);
    shop.replace("helper.toml", "session = \"test\"", "session = \"best\"");
    let outcomes = finish(&shop, start_all(&shop));
    outcomes[2].failed(3, &["disagrees about the session", "best"]);
    shop.replace("helper.toml", "output = 1", "output = 0");
    shop.refuses(&["party", "--config", "helper.toml"], 2, &["helper.toml", "the owners differ from the plan's"]);
}

/// Each party in turn is killed without warning while the three exchange messages.
#[test]
fn a_party_killed_in_the_middle() {
    std::thread::scope(|scope| {
        (0..3).map(|victim| scope.spawn(move || kill(victim))).for_each(drop);
    });
}

fn kill(victim: usize) {
    let shop = Workshop::with_plan();
    deploy(&shop, 10.0);
    shop.write("slow.toml", SLOW);
    let before = shop.listing();
    let mut parties = start_all(&shop);
    std::thread::sleep(INTO_THE_RUN);
    assert!(parties.iter_mut().all(Running::is_running), "over before it was killed");
    parties[victim].kill();
    let outcomes = finish(&shop, parties);
    assert_eq!(outcomes[victim].code, None);
    for (party, outcome) in outcomes.iter().enumerate().filter(|(party, _)| *party != victim) {
        outcome.failed(3, &[&format!("party {victim}")]);
        let words = ["in the middle of the session", "stopped the session", "failed"];
        assert!(words.iter().any(|word| outcome.stderr.contains(word)), "party {party}: {}", outcome.stderr);
        assert!(outcome.seconds < 10.0, "party {party} took {:.1} s", outcome.seconds);
    }
    assert_eq!(shop.listing(), before);
}

/// A party that is alive but does nothing more.
#[test]
fn a_party_that_hangs() {
    let shop = Workshop::with_plan();
    deploy(&shop, 10.0);
    shop.write("slow.toml", SLOW);
    let mut parties = start_all(&shop);
    std::thread::sleep(INTO_THE_RUN);
    assert!(parties.iter_mut().all(Running::is_running));
    parties[2].signal("STOP");
    let [model, data, mut helper] = parties;
    for party in [model, data] {
        let outcome = shop.watch(party);
        outcome.failed(3, &["party"]);
        // A party that waits for one that waits for the hanging one may be the first to lose patience.
        let words = ["sent nothing for 3 s", "did not answer in time"];
        assert!(words.iter().any(|word| outcome.stderr.contains(word)), "{}", outcome.stderr);
        assert!(outcome.seconds < 20.0);
    }
    helper.kill();
    assert!(!shop.path("scores.npz").exists());
}
