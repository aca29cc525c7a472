//! A private run by three parties in this process, each on its own opening of one device, as a session does it.

use super::{Open, explain, median, party};
use runtime::backend::cuda::{Doing, Metered, Span, Stream, Tuning, busy};
use runtime::circuit::{Circuit, Integers, Party, Weights};
use runtime::session::Runner;
use runtime::transport::{AbortReason, Limits, Mesh, Transport, in_process};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A party that fails tells the others; this only bounds how long a kernel may be compiled.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Of ten million elements a round may have more than a deployment takes from a peer.
const FRAME_BYTES_MAX: u64 = 1 << 36;

/// What is run.
pub struct Job<'a> {
    pub circuit: &'a Circuit,
    pub weights: &'a Weights,
    pub inputs: &'a [Integers],
    /// Who owns the model, the inputs and the outputs.
    pub owners: [u8; 3],
}

/// What the runs showed.
pub struct Ran {
    /// What the outputs' owner learned in the last run.
    pub outputs: Vec<Integers>,
    /// Rounds of a run in which any party sent or received.
    pub rounds: usize,
    /// Bytes that all parties sent in a run: payload and frame headers.
    pub bytes: u64,
    /// Seconds of a run, the median: from the first party's start to the last one's end.
    pub wall: f64,
    /// Seconds in which the device did anything in a run, of all parties.
    pub busy: f64,
    /// Seconds in which a kernel ran, at most: from the work before it in its stream to its end, with launch gaps.
    pub kernels: f64,
    /// The same of the party whose kernels took longest, with its waiting for kernels of the others.
    pub kernels_of_a_party: f64,
    /// Seconds before the runs: kernels made ready, weights shared.
    pub ready: f64,
}

/// One run, as one party saw it.
struct Seen {
    began: Instant,
    ended: Instant,
    rounds: BTreeSet<u32>,
    outputs: Vec<Option<Integers>>,
}

/// What a party leaves.
struct Left {
    seen: Vec<Seen>,
    bytes: u64,
    metered: Arc<Metered>,
}

/// Runs a job once to warm up, `runs` times by this process's clock, and once by the device's.
pub fn run(open: &Open<'_>, job: &Job<'_>, runs: usize) -> Result<Ran, String> {
    let limits = Limits { connect: PATIENCE, receive: PATIENCE, frame_bytes_max: FRAME_BYTES_MAX };
    let ends = in_process::network(3, None, limits, None).map_err(explain)?;
    let clock = open()?;
    let (began, total) = (Instant::now(), runs + 2);
    // What the last run's spans are measured from: short of it, as the device counts in single precision.
    let origin = std::sync::OnceLock::new();
    let parties: Vec<Result<Left, String>> = std::thread::scope(|scope| {
        let start = |(me, mut end): (usize, Mesh)| {
            let (clock, origin) = (&clock, &origin);
            scope.spawn(move || {
                let left = one(open, job, me as u8, total, &mut end, &|| {
                    let stamp = clock.stamp(Stream::Compute).map_err(explain)?;
                    // Two parties may be here at once: any of their marks will do.
                    if origin.set(stamp).is_err() {
                        clock.forget(stamp);
                    }
                    Ok(())
                });
                if left.is_err() {
                    end.abort(AbortReason::LocalFailure);
                }
                left
            })
        };
        let threads: Vec<_> = ends.into_iter().enumerate().map(start).collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, Result<Left, String>>| thread.join();
        threads.into_iter().map(|thread| ended(thread).unwrap_or_else(|_| Err("a party panicked".into()))).collect()
    });
    // The first cause, and not what it meant for the others.
    let causes = parties.iter().filter_map(|left| left.as_ref().err());
    if let Some(cause) = causes.clone().find(|reason| !reason.contains("stopped")).or(causes.clone().next()) {
        return Err(cause.clone());
    }
    let mut left: Vec<Left> = parties.into_iter().filter_map(Result::ok).collect();
    let origin = *origin.get().ok_or("no party came to the last run")?;
    let spans = left.iter().map(|party| party.metered.spans(origin).map_err(explain));
    let spans = spans.collect::<Result<Vec<Vec<Span>>, _>>();
    clock.forget(origin);
    let (spans, kernels) = (spans?, |spans: &[Span]| -> Vec<Span> {
        spans.iter().copied().filter(|span| span.doing == Doing::Kernel).collect()
    });
    let all: Vec<Span> = spans.iter().flatten().copied().collect();
    let run = |index: usize| left.iter().filter_map(move |party| party.seen.get(index));
    let first = run(0).map(|seen| seen.began).min();
    let walls = (1..=runs).filter_map(|index| {
        let (began, ended) = (run(index).map(|seen| seen.began).min()?, run(index).map(|seen| seen.ended).max()?);
        Some((ended - began).as_secs_f64())
    });
    let wall = median(walls.collect());
    let rounds = run(0).flat_map(|seen| seen.rounds.iter().copied()).collect::<BTreeSet<u32>>().len();
    let bytes = left.iter().map(|party| party.bytes).sum::<u64>() / total as u64;
    let receiver = left.get_mut(usize::from(job.owners[2])).and_then(|party| party.seen.pop());
    let outputs = receiver.map(|seen| seen.outputs.into_iter().flatten().collect()).unwrap_or_default();
    Ok(Ran {
        outputs,
        rounds,
        bytes,
        wall,
        busy: busy(&all),
        kernels: busy(&kernels(&all)),
        kernels_of_a_party: spans.iter().map(|spans| busy(&kernels(spans))).fold(0.0, f64::max),
        ready: first.map_or(f64::NAN, |first| (first - began).as_secs_f64()),
    })
}

/// One party to its end; `last` is called before the last run.
fn one(
    open: &Open<'_>,
    job: &Job<'_>,
    me: u8,
    total: usize,
    transport: &mut Mesh,
    last: &dyn Fn() -> Result<(), String>,
) -> Result<Left, String> {
    let super::Party { cuda, metered } = party(open, Tuning::default(), 3)?;
    let [model, input, _] = job.owners;
    let mut runner = Runner::on(cuda, job.circuit.clone(), Party(me)).map_err(explain)?;
    runner.share_weights(Party(model), (me == model).then_some(job.weights), transport).map_err(explain)?;
    let mut seen = Vec::with_capacity(total);
    for run in 0..total {
        let inputs: Vec<_> = job.inputs.iter().map(|tensor| (me == input).then(|| tensor.clone())).collect();
        if run + 1 == total {
            last()?;
            metered.note(true);
        }
        let began = Instant::now();
        let outcome = runner.run(&inputs, transport).map_err(explain)?;
        seen.push(Seen { began, ended: Instant::now(), rounds: outcome.rounds, outputs: outcome.outputs });
    }
    metered.note(false);
    let bytes = transport.finish().map_err(explain)?.online_sent().bytes;
    Ok(Left { seen, bytes, metered })
}
