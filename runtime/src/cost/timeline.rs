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

    /// All that is asked, in whatever order.
    pub fn work(&self) -> Work {
        let mut all = Work::NONE;
        for events in &self.rounds {
            let in_parts = in_parts(events);
            events.iter().for_each(|event| all += event.work(in_parts));
        }
        all
    }
}

/// Whether more than one part leaves.
fn in_parts(events: &[Event]) -> bool {
    events.iter().filter(|event| matches!(event, Event::Send { .. })).count() > 1
}

impl Event {
    /// What the party's processor does, in a round in several parts or not.
    fn work(&self, in_parts: bool) -> Work {
        match self {
            Event::Compute(work) => *work,
            Event::Send { bytes } if in_parts => {
                Work::NONE.plus(Resource::Byte, *bytes).plus(Resource::PartByte, *bytes)
            }
            Event::Send { bytes } => Work::NONE.plus(Resource::Byte, *bytes),
            Event::Receive(0) => Work::NONE.plus(Resource::Round, 1.0),
            Event::Receive(_) => Work::NONE.plus(Resource::Part, 1.0),
        }
    }
}

impl Machine {
    /// Predicted seconds of a run alone, over a network or, without one, over loopback, where nothing is on its way.
    pub fn seconds_of(&self, run: &Timeline, network: Option<Shaping>) -> f64 {
        self.seconds_side_by_side(run, SideBySide::ONE, network)
    }

    /// The same of each of so many runs side by side, which begin and end together: round by round one after the other,
    /// so that what one waits for is on its way while the others compute. What one sends is sealed and opened meanwhile, as
    /// in a round in several parts.
    pub fn seconds_side_by_side(&self, run: &Timeline, runs: SideBySide, network: Option<Shaping>) -> f64 {
        let (delay, pace) =
            network.map_or((0.0, 0.0), |network| (network.round_trip_seconds / 2.0, 8.0 / network.bits_per_second));
        let (mut now, mut line_free): (f64, f64) = (0.0, 0.0);
        let mut before = vec![Vec::new(); runs.get() as usize];
        for events in &run.rounds {
            let in_parts = in_parts(events) || !runs.is_one();
            let seconds: Vec<f64> = events.iter().map(|event| self.seconds(&event.work(in_parts), None)).collect();
            for arrived in &mut before {
                let mut arrivals = Vec::new();
                for (event, seconds) in events.iter().zip(&seconds) {
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
        let all = machine().seconds(&run.work(), Some(NETWORK));
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
        assert!(machine().seconds(&run(0.25).work(), Some(NETWORK)) > 7.0);
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
        // What is sealed while others compute takes a processor from them.
        let rate = |resource| if resource == Resource::PartByte { 1.0 } else { 0.0 };
        let sealing = Machine::new("made".into(), Resource::ALL.map(rate), 0.0);
        let sent = Timeline::new(vec![vec![SEND], vec![Event::Receive(0)]]);
        assert_eq!(sealing.seconds_of(&sent, None), 0.0);
        assert_eq!(sealing.seconds_side_by_side(&sent, SideBySide::new(2).unwrap(), None), 1000.0);
        // A session has groups that are nearly equal: of nine runs, four at most at once, three times three.
        for (runs, groups) in [(0, 0.0), (4, 1.0), (9, 3.0), (10, 3.0), (13, 4.0)] {
            let session = machine().seconds_of_session(&light, runs, SideBySide::new(4).unwrap(), Some(NETWORK));
            assert!((session - 0.1 * groups).abs() < 1e-9, "{runs} runs: {session}");
        }
    }

    #[test]
    #[should_panic(expected = "nobody sent")]
    fn nothing_arrives_that_was_not_sent() {
        Timeline::new(vec![vec![SEND], vec![Event::Receive(1)]]);
    }
}
