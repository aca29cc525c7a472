//! What a party is asked to do in a run, in order, so that what happens at once is not counted twice.
//!
//! A part of a round that was sent is on its way while the party computes the next one. The three parties do the same at
//! the same time, so that what a party waits for left its peers when its own messages left: the clock of one party tells
//! when a run is over.

use super::{Machine, Resource, Work};
use crate::transport::{Shaping, SideBySide};

/// Something that a party does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Event {
    /// It computes.
    Compute(Work),
    /// A part leaves.
    Send {
        /// Payload bytes that the party sends.
        bytes: f64,
    },
    /// It waits for a part of the round before, by number.
    Receive(usize),
}

/// The events of a run, round by round.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Timeline {
    rounds: Vec<Vec<Event>>,
}

impl Timeline {
    /// From the events between the messages of the round before and those of each round.
    ///
    /// # Panics
    /// Every part that is waited for was sent in the round before.
    pub fn new(rounds: Vec<Vec<Event>>) -> Timeline {
        let mut before = 0;
        for events in &rounds {
            let waits = |event: &Event| matches!(event, Event::Receive(part) if *part >= before);
            assert!(!events.iter().any(waits), "a part arrives that nobody sent");
            before = events.iter().filter(|event| matches!(event, Event::Send { .. })).count();
        }
        Timeline { rounds }
    }

    /// All that is asked of so many runs side by side, in whatever order.
    pub fn work(&self, runs: SideBySide) -> Work {
        let mut all = Work::NONE;
        for (round, run) in self.rounds.iter().flat_map(|round| (0..runs.get()).map(move |run| (round, run))) {
            let places = Places::of(round, run);
            round.iter().for_each(|event| all += event.work(places));
        }
        all
    }
}

/// What else there is to do while messages are on their way.
#[derive(Clone, Copy)]
enum Place {
    /// Nothing.
    Alone,
    /// Other parts of the same round.
    InParts,
    /// Other runs.
    Beside,
}

/// Of which rates what a party receives in a round asks, and of which what it sends.
#[derive(Clone, Copy)]
struct Places {
    received: Place,
    sent: Place,
}

impl Places {
    /// Of a round of one of several runs. The first of them asks what a run alone asks, each of the others what it adds to
    /// processors that have something to do already.
    fn of(round: &[Event], run: u64) -> Places {
        let place = |parts: usize| match (run, parts) {
            (1.., _) => Place::Beside,
            (0, 2..) => Place::InParts,
            (0, _) => Place::Alone,
        };
        let sent = round.iter().filter(|event| matches!(event, Event::Send { .. })).count();
        let received = round.iter().filter(|event| matches!(event, Event::Receive(_))).count();
        Places { received: place(received), sent: place(sent) }
    }
}

impl Event {
    /// What the party's processor does.
    fn work(&self, places: Places) -> Work {
        let one = |resource| Work::NONE.plus(resource, 1.0);
        match self {
            Event::Compute(work) => *work,
            Event::Send { bytes } => match places.sent {
                Place::Alone => Work::NONE.plus(Resource::Byte, *bytes),
                Place::InParts => Work::NONE.plus(Resource::Byte, *bytes).plus(Resource::PartByte, *bytes),
                Place::Beside => Work::NONE.plus(Resource::BesideByte, *bytes),
            },
            Event::Receive(0) => match places.received {
                Place::Alone => one(Resource::Round),
                Place::InParts => one(Resource::Round).plus(Resource::PartRound, 1.0),
                Place::Beside => one(Resource::BesideRound),
            },
            Event::Receive(_) => one(Resource::Part),
        }
    }
}

impl Machine {
    /// Predicted seconds of a run alone, over a network or, without one, over loopback, where nothing is on its way.
    pub fn seconds_of(&self, run: &Timeline, network: Option<Shaping>) -> f64 {
        self.seconds_side_by_side(run, SideBySide::ONE, network)
    }

    /// The same of each of so many runs side by side, which begin and end together: round by round one after the other,
    /// so that what one waits for is on its way while the others compute.
    pub fn seconds_side_by_side(&self, run: &Timeline, runs: SideBySide, network: Option<Shaping>) -> f64 {
        let (delay, pace) =
            network.map_or((0.0, 0.0), |network| (network.round_trip_seconds / 2.0, 8.0 / network.bits_per_second));
        let (mut now, mut line_free): (f64, f64) = (0.0, 0.0);
        let mut before = vec![Vec::new(); runs.get() as usize];
        for round in &run.rounds {
            let seconds = |run: u64| {
                let places = Places::of(round, run);
                round.iter().map(|event| self.seconds(&event.work(places), None)).collect::<Vec<f64>>()
            };
            let first = seconds(0);
            let other = if runs == SideBySide::ONE { Vec::new() } else { seconds(1) };
            for (run, arrived) in before.iter_mut().enumerate() {
                let mut arrivals = Vec::new();
                for (event, seconds) in round.iter().zip(if run == 0 { &first } else { &other }) {
                    if let Event::Receive(part) = event {
                        now = now.max(arrived[*part]);
                    }
                    now += seconds;
                    if let Event::Send { bytes } = event {
                        line_free = line_free.max(now) + bytes * pace;
                        arrivals.push(line_free + delay);
                    }
                }
                *arrived = arrivals;
            }
        }
        now / runs.get() as f64
    }

    /// Predicted seconds of all runs of a session, at most so many side by side.
    pub fn seconds_of_session(
        &self,
        run: &Timeline,
        runs: u64,
        side_by_side: SideBySide,
        network: Option<Shaping>,
    ) -> f64 {
        let mut known = None;
        let group = |runs: SideBySide| {
            let seconds = match known {
                Some((same, seconds)) if same == runs => seconds,
                _ => runs.get() as f64 * self.seconds_side_by_side(run, runs, network),
            };
            known = Some((runs, seconds));
            seconds
        };
        side_by_side.groups(runs).map(group).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Shaping = Shaping { round_trip_seconds: 0.2, bits_per_second: 8e3 };

    fn machine() -> Machine {
        Machine::new(
            "made".into(),
            Resource::ALL.map(|resource| if resource == Resource::Word { 1.0 } else { 0.0 }),
            0.0,
        )
    }

    fn compute(seconds: f64) -> Event {
        Event::Compute(Work::NONE.plus(Resource::Word, seconds))
    }

    const SEND: Event = Event::Send { bytes: 1000.0 };

    #[test]
    fn what_is_not_cut_takes_the_sum_of_everything() {
        let run = Timeline::new(vec![
            vec![compute(2.0), SEND],
            vec![Event::Receive(0), compute(3.0), SEND],
            vec![Event::Receive(0), compute(1.0)],
        ]);
        let all = machine().seconds(&run.work(SideBySide::ONE), Some(NETWORK));
        assert!((machine().seconds_of(&run, Some(NETWORK)) - all).abs() < 1e-9);
        assert!((all - (6.0 + 2.0 + 0.2)).abs() < 1e-9, "{all}");
    }

    #[test]
    fn what_is_on_its_way_is_hidden_behind_what_is_computed() {
        let run = |seconds: f64| {
            let first = vec![compute(seconds), SEND, compute(seconds), SEND];
            let step = [Event::Receive(0), compute(seconds), SEND, Event::Receive(1), compute(seconds), SEND];
            Timeline::new(vec![first, step.to_vec(), step.to_vec()])
        };
        // One second on the line each, 0.1 s behind it. Slow to compute: the line is never waited for but at the start.
        assert!((machine().seconds_of(&run(2.0), Some(NETWORK)) - 12.0).abs() < 1e-9);
        // Quick to compute: the line is always busy.
        let quick = machine().seconds_of(&run(0.25), Some(NETWORK));
        assert!((quick - (0.25 + 4.0 + 0.1 + 0.25)).abs() < 1e-9, "{quick}");
        assert!(machine().seconds(&run(0.25).work(SideBySide::ONE), Some(NETWORK)) > 7.0);
    }

    #[test]
    fn what_one_run_waits_for_is_on_its_way_while_others_compute() {
        let step = vec![Event::Receive(0), compute(1.0), SEND];
        let run = Timeline::new(vec![vec![compute(1.0), SEND], step.clone(), step, vec![Event::Receive(0)]]);
        let of = |runs: u64, network| machine().seconds_side_by_side(&run, SideBySide::new(runs).unwrap(), network);
        // One second of computing, one on the line and the delay, three times.
        assert!((of(1, Some(NETWORK)) - 6.3).abs() < 1e-9);
        // Two: the line and the processor are always busy, but for the first second and the last message's way; each
        // round's delay is hidden behind the other run as far as its second of computing goes.
        let two = 2.0 * of(2, Some(NETWORK));
        assert!((two - (1.0 + 6.0 + 0.1)).abs() < 0.21, "{two}");
        assert!((8.0 * of(8, Some(NETWORK)) - (1.0 + 24.0 + 0.1)).abs() < 1e-9);
        // What is only delay is paid once for all of them.
        let light = Timeline::new(vec![vec![Event::Send { bytes: 0.0 }], vec![Event::Receive(0)]]);
        let four = machine().seconds_side_by_side(&light, SideBySide::new(4).unwrap(), Some(NETWORK));
        assert!((4.0 * four - 0.1).abs() < 1e-9, "{four}");
        // A session has groups that are nearly equal: of nine runs, four at most at once, three times three.
        for (runs, groups) in [(0, 0.0), (4, 1.0), (9, 3.0), (10, 3.0), (13, 4.0)] {
            let session = machine().seconds_of_session(&light, runs, SideBySide::new(4).unwrap(), Some(NETWORK));
            assert!((session - 0.1 * groups).abs() < 1e-9, "{runs} runs: {session}");
        }
    }

    #[test]
    fn runs_beside_others_have_rates_of_their_own() {
        let rate = |resource| match resource {
            Resource::Round => 10.0,
            Resource::Byte => 0.1,
            Resource::BesideRound => 1.0,
            Resource::BesideByte => 0.02,
            _ => 0.0,
        };
        let machine = Machine::new("made".into(), Resource::ALL.map(rate), 0.0);
        let sent = Timeline::new(vec![vec![SEND], vec![Event::Receive(0)]]);
        let together = |runs: u64| {
            let runs = SideBySide::new(runs).unwrap();
            let seconds = machine.seconds_side_by_side(&sent, runs, None) * runs.get() as f64;
            assert!((machine.seconds(&sent.work(runs), None) - seconds).abs() < 1e-9);
            seconds
        };
        // The first asks what one alone asks.
        assert_eq!((together(1), together(2), together(3)), (110.0, 131.0, 152.0));
        // Two groups, of three and of two.
        let session = machine.seconds_of_session(&sent, 5, SideBySide::new(3).unwrap(), None);
        assert!((session - (152.0 + 131.0)).abs() < 1e-9, "{session}");
    }

    #[test]
    fn what_parts_and_other_runs_change_is_counted_apart() {
        let counted = |rounds: Vec<Vec<Event>>, runs: u64| {
            let work = Timeline::new(rounds).work(SideBySide::new(runs).unwrap());
            use Resource::{BesideByte, BesideRound, Byte, Part, PartByte, PartRound, Round};
            [Round, PartRound, Part, Byte, PartByte, BesideRound, BesideByte].map(|resource| work[resource])
        };
        let both = [Event::Receive(0), Event::Receive(1)];
        let cut = vec![vec![SEND, SEND], [both, [SEND, SEND]].concat(), both.to_vec()];
        assert_eq!(counted(cut.clone(), 1), [2.0, 2.0, 2.0, 4000.0, 4000.0, 0.0, 0.0]);
        assert_eq!(counted(cut, 3), [2.0, 2.0, 6.0, 4000.0, 4000.0, 4.0, 8000.0]);
        // Parts arrive where they were sent, one round later.
        let one = vec![Event::Receive(0)];
        let mixed = vec![vec![SEND], [&one[..], &[SEND, SEND]].concat(), [&both[..], &[SEND]].concat(), one];
        assert_eq!(counted(mixed, 1), [3.0, 1.0, 1.0, 4000.0, 2000.0, 0.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "nobody sent")]
    fn nothing_arrives_that_was_not_sent() {
        Timeline::new(vec![vec![SEND], vec![Event::Receive(1)]]);
    }
}
