use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::transport::{
    AbortReason, Digest, Error as TransportError, Expected, Frame, Kind, Length, Limits, Mesh, Party, Position,
    Transport, tls,
};

const GOOD: &str = r#"
session = "digits"
party = 1
role = "data"
listen = "127.0.0.1:7101"
certificate = "data.certificate.pem"
private_key = "data.private-key.pem"
plan = "digits.plan.toml"
input = "/data/images.npz"
output = "scores.npz"
network = "wan"

[owners]
model = 0
input = 1
output = 1

[[peer]]
party = 0
role = "model"
address = "model.example.org:7100"
certificate = "model.certificate.pem"

[[peer]]
party = 2
role = "helper"
certificate = "helper.certificate.pem"
"#;

fn parse(text: &str) -> Result<PartyConfig> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("party.toml");
    fs::write(&file, text).unwrap();
    PartyConfig::read(&file)
}

#[test]
fn the_examples_are_one_deployment() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deployment");
    let plan = Digest([0; 32]);
    let terms = ["model", "data", "helper"].map(|role| {
        let config = PartyConfig::read(&folder.join(format!("{role}.toml"))).unwrap();
        assert_eq!(config.role, role);
        for file in [Some(&config.plan), config.model.as_ref(), config.input.as_ref()].into_iter().flatten() {
            assert!(file.exists(), "{}", file.display());
        }
        config.terms(plan)
    });
    assert!(terms.iter().all(|others| *others == terms[0]));
}

#[test]
fn every_mistake_is_named_by_file_and_field() {
    let cases = [
        ("session = \"digits\"", "", "missing field `session`"),
        ("session = \"digits\"", "session = \"\"", "field `session` is \"\""),
        ("role = \"data\"", "role = 5", "expected a string"),
        ("party = 1", "party = 3", "field `party` is 3, count from 0 to 2"),
        ("party = 1", "party = 256", "party = 256"),
        ("party = 2", "party = 1", "field `peer.party` is 1 twice"),
        ("party = 2", "party = 7", "field `peer.party` is 7"),
        ("listen = \"127.0.0.1:7101\"", "", "field `listen` is missing"),
        ("127.0.0.1:7101", "127.0.0.1", "field `listen` is \"127.0.0.1\", give host:port"),
        ("127.0.0.1:7101", "127.0.0.1:0", "field `listen`"),
        ("127.0.0.1:7101", "127.0.0.1:70000", "field `listen`"),
        ("127.0.0.1:7101", ":7101", "field `listen`"),
        ("address = \"model.example.org:7100\"", "", "field `peer.address of party 0` is missing"),
        ("model = 0", "model = 1", "field `model` is missing: this party owns the model"),
        ("model = 0", "model = 3", "field `owners.model` is 3"),
        ("input = 1", "input = 0", "field `input` is given, but party 0 owns the input"),
        ("output = 1", "output = 2", "field `output` is given, but party 2 owns the output"),
        ("input = \"/data/images.npz\"", "", "field `input` is missing"),
        ("network = \"wan\"", "receive_seconds = -1.0", "field `receive_seconds` is -1"),
        ("network = \"wan\"", "side_by_side = 65", "65 runs side by side cannot be, use 1 to 64"),
        ("network = \"wan\"", "connect_seconds = nan", "field `connect_seconds` is NaN"),
        ("network = \"wan\"", "frame_bytes_max = 10", "field `frame_bytes_max` is 10"),
        ("network = \"wan\"", "netwrok = \"wan\"", "unknown field `netwrok`"),
        ("role = \"helper\"", "", "missing field `role`"),
    ];
    for (from, to, said) in cases {
        assert!(GOOD.contains(from), "{from}");
        let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(said), "{from} -> {to}: {error}");
        assert!(error.contains("party.toml"), "{error}");
    }
    let absent = PartyConfig::read(Path::new("/nowhere/party.toml")).unwrap_err();
    assert!(absent.to_string().starts_with("cannot read /nowhere/party.toml"), "{absent}");
}

#[test]
fn a_good_configuration_is_read_with_paths_from_its_folder() {
    let config = parse(&GOOD.replace("party = 1", "party = 1\npolicy = \"policy.toml\"")).unwrap();
    let folder = config.file.parent().unwrap();
    assert_eq!(config.policy.as_deref(), Some(&*folder.join("policy.toml")));
    assert_eq!(config.plan, folder.join("digits.plan.toml"));
    assert_eq!(config.input.as_deref(), Some(Path::new("/data/images.npz")));
    assert_eq!(config.peers[1].certificate, folder.join("helper.certificate.pem"));
    assert_eq!(config.limits(), Limits::default());
    assert_eq!(config.shaping().unwrap(), Some(crate::transport::Shaping::WAN));
    let terms = config.terms(Digest([1; 32]));
    assert_eq!(terms.roles, ["model", "data", "helper"]);
    assert_eq!(terms.owners, "model 0, input 1, output 1");
}

#[test]
fn a_bad_network_is_named() {
    let config = parse(&GOOD.replace("\"wan\"", "\"wam\"")).unwrap();
    let error = config.shaping().unwrap_err().to_string();
    assert!(error.starts_with("network profile /") && error.contains("wam"), "{error}");
}

#[test]
fn keys_are_private_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let files = keys::generate(&keys, &["alice", "bob"]).unwrap();
    assert_eq!(files.len(), 2);
    assert_ne!(files[0].fingerprint, files[1].fingerprint);
    #[cfg(unix)]
    for file in &files {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&file.private_key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = fs::read(&files[1].private_key).unwrap();
    let error = keys::generate(&keys, &["carol", "bob"]).unwrap_err();
    assert!(matches!(&error, Error::Exists(file) if file.ends_with("bob.certificate.pem")), "{error}");
    assert_eq!(fs::read(&files[1].private_key).unwrap(), before);
    assert!(!keys.join("carol.private-key.pem").exists());
    // A key that remains without its certificate is as precious.
    fs::remove_file(&files[1].certificate).unwrap();
    assert!(matches!(keys::generate(&keys, &["bob"]), Err(Error::Exists(_))));
    for names in [&["../x"][..], &[""], &["a b"], &["a", "a"], &["ä"], &[&"a".repeat(65)]] {
        assert!(matches!(keys::generate(&keys, names), Err(Error::Name(_))), "{names:?}");
    }
}

fn three_parties(folder: &Path, network: Option<&str>, receive: Duration) -> Vec<PathBuf> {
    let limits = Limits { connect: Duration::from_secs(5), receive, ..Limits::default() };
    let what = Loopback {
        session: "test",
        roles: &["model", "data", "helper"],
        owners: Owners { model: Party(0), input: Party(1), output: Party(1) },
        plan: Path::new("plan.toml"),
        model: Path::new("model.onnx"),
        input: Path::new("input.npz"),
        output: Path::new("output.npz"),
        policy: None,
        network,
        side_by_side: None,
        limits,
    };
    loopback(folder, &what).unwrap()
}

#[test]
fn key_files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_parties(folder.path(), None, Duration::from_secs(1));
    let config = PartyConfig::read(&files[0]).unwrap();
    config.endpoint().unwrap();
    let refusal = |config: &PartyConfig| config.endpoint().unwrap_err().to_string();
    let peer = &config.peers[1].certificate;
    fs::write(peer, "no certificate").unwrap();
    let error = refusal(&config);
    assert!(error.contains("`peer.certificate of party 2` names"), "{error}");
    fs::remove_file(peer).unwrap();
    let error = refusal(&config);
    assert!(error.starts_with("cannot read") && error.contains("helper.certificate.pem"), "{error}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&config.private_key, fs::Permissions::from_mode(0o640)).unwrap();
        let error = refusal(&config);
        assert!(error.contains("which others can read (mode 640): chmod 600"), "{error}");
        fs::set_permissions(&config.private_key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n";
    fs::write(&config.private_key, secret).unwrap();
    let error = refusal(&config);
    assert!(error.contains("no PEM private key") && !error.contains("c2Vj"), "{error}");
}

fn start(file: &Path) -> Mesh {
    let config = PartyConfig::read(file).unwrap();
    let terms = config.terms(Digest([1; 32]));
    let endpoint = config.endpoint().unwrap();
    tls::connect(&endpoint, &terms, config.limits(), config.shaping().unwrap()).unwrap()
}

const POSITION: Position = Position::new(0, 0);
const LONG: usize = 1_000_000;

#[test]
fn parties_started_from_their_files_find_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_parties(folder.path(), None, Duration::from_secs(5));
    let sessions: Vec<_> = thread::scope(|scope| {
        let starting: Vec<_> = files
            .iter()
            .map(|file| {
                scope.spawn(|| {
                    let mut mesh = start(file);
                    mesh.finish().unwrap();
                    *mesh.session()
                })
            })
            .collect();
        starting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(sessions[0], sessions[1]);
    assert_eq!(sessions[0], sessions[2]);
}

const CHILD: &str = "CHEBYSHARE_TEST_CONFIGURATION";

/// Not a test of its own: the process that the next test starts, and kills in the middle of a
/// frame that takes eight seconds to send.
#[test]
fn party_in_a_process() {
    let Some(file) = std::env::var_os(CHILD) else {
        return;
    };
    let mut mesh = start(Path::new(&file));
    for to in [Party(0), Party(1)] {
        let payload = vec![1; LONG];
        mesh.send(to, Frame { kind: Kind::Masked, position: POSITION, payload }).unwrap();
    }
    println!("\nsending");
    thread::sleep(Duration::from_secs(20));
}

#[test]
fn a_process_killed_within_a_frame_is_noticed_by_the_survivors() {
    let folder = tempfile::tempdir().unwrap();
    let slow = folder.path().join("slow.toml");
    fs::write(&slow, "round_trip_seconds = 0.0\nbits_per_second = 2e6\n").unwrap();
    let files = three_parties(folder.path(), slow.to_str(), Duration::from_secs(5));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "deployment::tests::party_in_a_process", "--nocapture"])
        .env(CHILD, &files[2])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    thread::scope(|scope| {
        let survivors: Vec<_> = files[..2]
            .iter()
            .map(|file| {
                scope.spawn(move || {
                    let mut mesh = start(file);
                    let length = Length::Exactly(LONG as u64);
                    let expected = Expected { kind: Kind::Masked, position: POSITION, length };
                    let error = mesh.receive(Party(2), expected).unwrap_err();
                    (error, Instant::now())
                })
            })
            .collect();
        assert!(output.lines().any(|line| line.unwrap() == "sending"));
        thread::sleep(Duration::from_millis(300));
        let killed = Instant::now();
        child.kill().unwrap();
        child.wait().unwrap();
        for survivor in survivors {
            let (error, noticed) = survivor.join().unwrap();
            let lost = Party(2);
            let named = match &error {
                TransportError::Closed { peer } => *peer == lost,
                TransportError::Aborted { reason, .. } => *reason == AbortReason::PeerLost(lost),
                _ => false,
            };
            assert!(named, "{error}");
            assert!(noticed > killed && noticed - killed < Duration::from_secs(1), "{error}");
        }
    });
}
