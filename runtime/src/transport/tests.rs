//! What holds for any carrier, tried in process. Over TLS the same runs: see `tls::tests`.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::*;

pub(super) const QUICK: Limits =
    Limits { connect: Duration::from_secs(10), receive: Duration::from_secs(6), frame_bytes_max: 32 << 20 };

pub(super) fn at(run: u64, round: u32) -> Position {
    Position::new(run, round)
}

pub(super) fn frame(kind: Kind, position: Position, payload: Vec<u8>) -> Frame {
    Frame { kind, position, payload }
}

pub(super) fn expected(kind: Kind, position: Position, bytes: usize) -> Expected {
    let length = Length::Exactly(bytes as u64);
    Expected { kind, position, length }
}

/// Bytes that differ by sender, receiver and place.
pub(super) fn payload(from: Party, to: Party, bytes: usize) -> Vec<u8> {
    let salt = usize::from(from.0) * 31 + usize::from(to.0) * 7 + 1;
    (0..bytes).map(|i| (i.wrapping_mul(salt) >> 3) as u8 ^ salt as u8).collect()
}

/// Records what passes, on its own.
pub(super) struct Wiretap<T> {
    inner: T,
    sent: Vec<(Party, Kind, usize)>,
    received: Vec<(Party, Kind, usize)>,
    rounds: std::collections::BTreeSet<Position>,
}

impl<T: Transport> Wiretap<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, sent: vec![], received: vec![], rounds: Default::default() }
    }

    /// Compares the counters with the record, kind by kind and peer by peer.
    pub(super) fn check(&self, traffic: &Traffic) {
        for peer in (0..self.inner.parties()).map(Party) {
            for kind in Kind::ALL.into_iter().filter(|&kind| kind != Kind::Control) {
                let recorded = |list: &[(Party, Kind, usize)]| -> Count {
                    let these = list.iter().filter(|(p, k, _)| (*p, *k) == (peer, kind));
                    these.map(|(_, _, bytes)| Count { frames: 1, bytes: (bytes + 24) as u64 }).sum()
                };
                assert_eq!(traffic.sent_to(peer, kind), recorded(&self.sent), "{kind} to {peer}");
                let received = traffic.received_from(peer, kind);
                assert_eq!(received, recorded(&self.received), "{kind} from {peer}");
            }
        }
        assert_eq!(traffic.rounds, self.rounds.len() as u64);
    }

    pub(super) fn send(&mut self, to: Party, frame: Frame) -> Result<()> {
        if !frame.payload.is_empty() {
            self.sent.push((to, frame.kind, frame.payload.len()));
            self.note(frame.kind, frame.position);
        }
        self.inner.send(to, frame)
    }

    pub(super) fn receive(&mut self, from: Party, expected: Expected) -> Result<Vec<u8>> {
        let payload = self.inner.receive(from, expected)?;
        if !payload.is_empty() {
            self.received.push((from, expected.kind, payload.len()));
            self.note(expected.kind, expected.position);
        }
        Ok(payload)
    }

    fn note(&mut self, kind: Kind, position: Position) {
        if kind.online() {
            self.rounds.insert(position);
        }
    }
}

/// Two runs of a few rounds with every kind, small and `large` frames, some empty, all parties at
/// once; payloads, counters and rounds are checked on the way.
pub(super) fn converse(mesh: Mesh, large: usize) -> Traffic {
    let (me, parties) = (mesh.me(), mesh.parties());
    let peers = mesh.peers();
    let mut tap = Wiretap::new(mesh);
    let bytes = |run: u64, round: u32, from: Party, to: Party| match round {
        0 if run == 0 => large,
        1 => usize::from(from.0), // party 0 sends nothing in this round
        _ => 1000 + usize::from(from.0) * 10 + usize::from(to.0),
    };
    for run in 0..2 {
        for (round, kind) in
            (0..).zip([Kind::Parameters, Kind::Share, Kind::Masked, Kind::Masked, Kind::Preprocessing, Kind::Opening])
        {
            for &to in &peers {
                let payload = payload(me, to, bytes(run, round, me, to));
                tap.send(to, frame(kind, at(run, round), payload)).unwrap();
            }
            for &from in &peers {
                let count = bytes(run, round, from, me);
                let expected = expected(kind, at(run, round), count);
                let received = tap.receive(from, expected).unwrap();
                assert!(received == payload(from, me, count), "{from} to {me}, round {round}");
            }
        }
    }
    let before = tap.inner.traffic().unwrap();
    tap.check(&before);
    let last = tap.inner.finish().unwrap();
    tap.check(&last);
    for &peer in &peers {
        // Greeting, confirmation, end: the transport's own frames are counted too.
        assert_eq!(last.sent_to(peer, Kind::Control).frames, 3);
    }
    let online = [Kind::Share, Kind::Masked, Kind::Opening];
    assert_eq!(last.online_sent(), online.map(|kind| last.sent(kind)).into_iter().sum());
    assert_eq!(last.offline_rounds, 4);
    assert_eq!(parties, 3);
    last
}

/// Everything sent was received, pair by pair and kind by kind.
pub(super) fn check_balance(traffics: &[Traffic]) {
    for (a, sender) in traffics.iter().enumerate() {
        for (b, receiver) in traffics.iter().enumerate() {
            for kind in Kind::ALL {
                let sent = sender.sent_to(Party(b as u8), kind);
                assert_eq!(sent, receiver.received_from(Party(a as u8), kind), "{a} to {b}");
            }
        }
    }
}

fn three() -> [Mesh; 3] {
    let seed = Key::from_bytes([9; 32]);
    in_process::network(3, Some(&seed), QUICK, None).unwrap().try_into().unwrap()
}

#[test]
fn three_parties_exchange_everything_and_count_it() {
    let traffics: Vec<Traffic> = thread::scope(|scope| {
        let ends = three().map(|mesh| scope.spawn(|| converse(mesh, 20_000_000)));
        ends.into_iter().map(|end| end.join().unwrap()).collect()
    });
    check_balance(&traffics);
}

#[test]
fn pairs_share_keys_and_a_seed_repeats_them() {
    let key = |mesh: &Mesh, peer: u8| *mesh.pair_key(Party(peer)).unwrap().bytes();
    let [a, b, c] = three();
    assert_eq!(key(&a, 1), key(&b, 0));
    assert_eq!(key(&a, 2), key(&c, 0));
    assert_eq!(key(&b, 2), key(&c, 1));
    assert_ne!(key(&a, 1), key(&a, 2));
    assert_ne!(key(&a, 1), key(&b, 2));
    assert_ne!(key(&a, 2), key(&b, 2));
    assert!(matches!(a.pair_key(Party(0)), Err(Error::NoSuchPeer { .. })));
    assert!(matches!(a.pair_key(Party(3)), Err(Error::NoSuchPeer { .. })));
    let [again, ..] = three();
    assert_eq!((key(&a, 1), a.session()), (key(&again, 1), again.session()));
    let fresh = in_process::network(3, None, QUICK, None).unwrap();
    assert_ne!(key(&a, 1), key(&fresh[0], 1));
    assert_ne!(a.session(), fresh[0].session());
}

#[test]
fn a_frame_that_is_not_as_expected_ends_the_session() {
    let sent = (Kind::Masked, at(5, 7), 10);
    let cases = [
        ((Kind::Opening, at(5, 7), 10), "kind masked where kind opening"),
        ((Kind::Masked, at(5, 8), 10), "run 5 round 7 where run 5 round 8"),
        ((Kind::Masked, at(4, 7), 10), "run 5 round 7 where run 4 round 7"),
        ((Kind::Masked, at(5, 7), 11), "10 bytes where 11 bytes"),
    ];
    for ((kind, position, bytes), said) in cases {
        let [mut a, mut b, mut c] = three();
        b.send(Party(0), frame(sent.0, sent.1, vec![1; sent.2])).unwrap();
        let error = a.receive(Party(1), expected(kind, position, bytes)).unwrap_err();
        assert!(error.to_string().starts_with("party 1 sent"), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        // The session is over here, and at the others, who are told whose fault it was.
        assert_eq!(a.receive(Party(2), expected(kind, position, 1)), Err(error.clone()));
        assert_eq!(a.send(Party(2), frame(kind, position, vec![])), Err(error));
        let told = Error::Aborted { peer: Party(0), reason: AbortReason::PeerMisbehaved(Party(1)) };
        assert_eq!(c.receive(Party(1), expected(kind, position, 1)), Err(told.clone()));
        assert_eq!(b.send(Party(2), frame(Kind::Masked, at(5, 9), vec![1])), Err(told));
    }
}

#[test]
fn frames_that_must_not_be_sent_are_refused() {
    let position = at(1, 1);
    let large = vec![0; QUICK.frame_bytes_max as usize + 1];
    let cases = [
        (Party(0), frame(Kind::Masked, position, vec![1]), "party 0 is no peer of party 0"),
        (Party(3), frame(Kind::Masked, position, vec![1]), "party 3 is no peer of party 0"),
        (Party(1), frame(Kind::Control, position, vec![1]), "control frame"),
        (Party(1), frame(Kind::Masked, position, large), "33554433 bytes to party 1 exceeds"),
    ];
    for (to, frame, said) in cases {
        let [mut a, _b, _c] = three();
        let error = a.send(to, frame).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    for (kind, position) in [(Kind::Masked, at(1, 2)), (Kind::Masked, at(1, 1)), (Kind::Opening, at(0, 9))] {
        let [mut a, _b, _c] = three();
        a.send(Party(1), frame(Kind::Masked, at(1, 2), vec![1])).unwrap();
        a.send(Party(2), frame(Kind::Masked, at(1, 1), vec![1])).unwrap();
        let refused = a.send(Party(1), frame(kind, position, vec![1]));
        assert_eq!(refused, Err(Error::OutOfOrder { peer: Party(1), kind, position }));
    }
    // Runs may take turns, each in its own order; one that is behind the latest sixty-four has ended.
    let [mut a, _b, _c] = three();
    let mut send = |position: Position| a.send(Party(1), frame(Kind::Masked, position, vec![1])).is_ok();
    assert!(send(at(1, 1)) && send(at(2, 1)) && send(at(1, 2)) && send(at(2, 2)));
    assert!((3..66).all(|run| send(at(run, 1))) && send(at(2, 3)));
    let [mut a, _b, _c] = three();
    let mut send = |position: Position| a.send(Party(1), frame(Kind::Masked, position, vec![1])).is_ok();
    assert!((1..66).all(|run| send(at(run, 1))) && !send(at(1, 2)));
    let [mut a, _b, _c] = three();
    assert_eq!(a.receive(Party(1), expected(Kind::Control, at(0, 0), 3)), Err(Error::ControlFrame));
}

#[test]
fn nothing_expected_is_not_waited_for() {
    let [mut a, mut b, _c] = three();
    a.send(Party(1), frame(Kind::Masked, at(0, 0), vec![])).unwrap();
    assert_eq!(b.receive(Party(0), expected(Kind::Masked, at(0, 0), 0)), Ok(vec![]));
    assert_eq!(a.traffic().unwrap().sent(Kind::Masked), Count::default());
    assert_eq!(a.traffic().unwrap().rounds, 0);
}

#[test]
fn a_silent_peer_is_named_in_time_and_the_others_learn_of_it() {
    let limits = Limits { receive: Duration::from_millis(150), ..QUICK };
    let meshes = in_process::network(3, None, limits, None).unwrap();
    let [mut a, _silent, mut c]: [Mesh; 3] = meshes.try_into().unwrap();
    let start = Instant::now();
    let error = a.receive(Party(1), expected(Kind::Masked, at(2, 3), 8)).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(
        error.to_string(),
        "party 1 sent nothing for 0.15 s while a frame of kind masked in run 2 round 3 was expected"
    );
    let told = c.receive(Party(1), expected(Kind::Masked, at(2, 3), 8)).unwrap_err();
    let said = "party 0 stopped the session: party 1 did not answer in time";
    assert_eq!(told.to_string(), said);
}

#[test]
fn an_abort_wakes_who_waits_for_another() {
    let [mut a, mut b, _c] = three();
    let waiting = thread::spawn(move || {
        let start = Instant::now();
        let error = b.receive(Party(2), expected(Kind::Masked, at(0, 0), 8)).unwrap_err();
        (error, start.elapsed())
    });
    thread::sleep(Duration::from_millis(50));
    a.abort(AbortReason::Cancelled);
    let (error, waited) = waiting.join().unwrap();
    let reason = AbortReason::Cancelled;
    assert_eq!(error, Error::Aborted { peer: Party(0), reason });
    assert!(waited < Duration::from_millis(600), "{waited:?}");
    assert_eq!(a.finish(), Err(Error::Stopped(reason)));
}

#[test]
fn a_dropped_party_aborts_the_others() {
    let [a, mut b, mut c] = three();
    drop(a);
    let told = Error::Aborted { peer: Party(0), reason: AbortReason::LocalFailure };
    assert_eq!(b.receive(Party(2), expected(Kind::Masked, at(0, 0), 8)), Err(told.clone()));
    assert_eq!(c.finish(), Err(told));
}

/// Who passes the news on does not say of itself what another party said of itself.
#[test]
fn who_stopped_is_named_although_another_is_heard_first() {
    let words = [
        (AbortReason::LocalFailure, "party 2 stopped the session: it failed, see its own output"),
        (AbortReason::Cancelled, "party 2 stopped the session: it was cancelled by its user"),
    ];
    for (reason, heard_by_the_first) in words {
        let [mut a, mut b, mut c] = three();
        c.put_control(Party(0), &control::Control::Abort(reason));
        let error = a.receive(Party(1), expected(Kind::Masked, at(0, 0), 8)).unwrap_err();
        assert_eq!(error.to_string(), heard_by_the_first);
        let error = b.receive(Party(2), expected(Kind::Masked, at(0, 0), 8)).unwrap_err();
        assert_eq!(error.to_string(), "party 0 stopped the session: party 2 stopped it; see what party 2 says");
    }
}

#[test]
fn finishing_with_frames_unread_is_an_error() {
    let [mut a, mut b, _c] = three();
    b.send(Party(0), frame(Kind::Opening, at(1, 4), vec![1])).unwrap();
    let position = at(1, 4);
    let unread = Error::Unread { peer: Party(1), kind: Kind::Opening, position };
    assert_eq!(a.finish(), Err(unread));
}

#[test]
fn a_peer_that_finishes_early_is_named() {
    let [mut a, mut b, mut c] = three();
    let ends = thread::spawn(move || (b.finish(), b));
    thread::sleep(Duration::from_millis(50));
    let error = a.receive(Party(1), expected(Kind::Masked, at(0, 1), 8)).unwrap_err();
    let said = "party 1 finished the session while a frame of kind masked in run 0 round 1 was expected";
    assert_eq!(error.to_string(), said);
    assert!(c.finish().is_err());
    assert!(ends.join().unwrap().0.is_err());
}

#[test]
fn different_terms_are_refused_by_name_and_value() {
    let terms = Terms {
        session: "s".into(),
        roles: vec!["a".into(), "b".into(), "c".into()],
        owners: "model 0".into(),
        plan: Digest([1; 32]),
    };
    let mut plan = terms.clone();
    plan.plan = Digest([2; 32]);
    let mut session = terms.clone();
    session.session = "other\n".into();
    let mut roles = terms.clone();
    roles.roles.swap(0, 1);
    let mut owners = terms.clone();
    owners.owners = "model 1".into();
    let cases = [
        (plan, format!("the plan digest: {} here, {} there", "01".repeat(32), "02".repeat(32))),
        (session, r#"the session name: "s" here, "other\n" there"#.into()),
        (roles, r#"["a", "b", "c"] here, ["b", "a", "c"] there"#.into()),
        (owners, r#"the owners: "model 0" here, "model 1" there"#.into()),
    ];
    for (other, said) in cases {
        let all = [terms.clone(), terms.clone(), other];
        let error = in_process::network_with_terms(&all, None, QUICK, None).unwrap_err();
        assert!(error.to_string().starts_with("party 2 disagrees about"), "{error}");
        assert!(error.to_string().contains(&said), "{error}");
    }
    in_process::network_with_terms(&[terms.clone(), terms.clone(), terms], None, QUICK, None).unwrap();
}

#[test]
fn a_session_has_at_least_two_parties_and_at_most_sixteen() {
    for parties in [0, 1, 17, 255] {
        let refused = in_process::network(parties, None, QUICK, None);
        assert!(matches!(refused, Err(Error::Configuration(_))), "{parties}");
    }
    in_process::network(16, None, QUICK, None).unwrap();
}

#[test]
fn an_imitated_network_delays_and_limits() {
    let shaping = Shaping { round_trip_seconds: 0.08, bits_per_second: 8e6 };
    let meshes = in_process::network(2, None, QUICK, Some(shaping)).unwrap();
    let [mut a, mut b]: [Mesh; 2] = meshes.try_into().unwrap();
    let start = Instant::now();
    a.send(Party(1), frame(Kind::Masked, at(0, 0), vec![1; 100_000 - 24])).unwrap();
    a.send(Party(1), frame(Kind::Masked, at(0, 1), vec![1; 50_000 - 24])).unwrap();
    b.receive(Party(0), expected(Kind::Masked, at(0, 0), 100_000 - 24)).unwrap();
    let first = start.elapsed().as_secs_f64();
    b.receive(Party(0), expected(Kind::Masked, at(0, 1), 50_000 - 24)).unwrap();
    let second = start.elapsed().as_secs_f64();
    assert!((0.14..0.24).contains(&first), "{first}");
    assert!((0.19..0.29).contains(&second), "{second}");
}
