//! Element-wise operations, the three roles one after the other on one device, messages passing through this process:
//! functions of the catalog, resharing, sign tests.

use super::report::{Report, aim, beside, scaled};
use super::roofline::Roofline;
use super::{Open, Sizes, explain, party, words};
use catalogs::{Catalog, Entry, Lemma, LemmaId, Op, Program, Ring, Scale, ValueId};
use runtime::backend::cuda::Tuning;
use runtime::backend::{Backend, Frames};
use runtime::kernel::{CheckedKernel, CheckedParty, Instruction};
use runtime::protocol::local::LocalKeys;
use runtime::protocol::rss3;

/// What its table is called.
pub const TITLE: &str = "Element by element";
/// GELU a second and party that are asked for.
const GELU_AIM: f64 = 1e7;
/// Of the memory's rate, asked of element-wise kernels.
const MEMORY_AIM: f64 = 0.7;
/// Elements from which aims are compared and runs are few: messages of gigabytes pass through this process in each.
const MANY: usize = 1_000_000;
const FEW_RUNS: usize = 3;

/// Every frame of all roles, by round, receiver and sender.
type Said = Vec<Vec<u8>>;

/// Frames by receiver and sender: those of the last stage, and what becomes those of the next one. Their memory is kept
/// from stage to stage and from run to run, so that no run measures how it is taken and given back.
#[derive(Default)]
struct Mail {
    last: [[Vec<u8>; 3]; 3],
    next: [[Vec<u8>; 3]; 3],
}

/// A back end's kernels and states of all roles.
struct Roles<'a, B: Backend> {
    backend: &'a B,
    parties: &'a [CheckedParty],
    code: Vec<B::Code>,
    lanes: usize,
}

impl<'a, B: Backend> Roles<'a, B> {
    fn new(backend: &'a B, parties: &'a [CheckedParty], lanes: usize) -> Result<Roles<'a, B>, String> {
        let kernels: Vec<&CheckedKernel> = parties.iter().flat_map(CheckedParty::stages).collect();
        let code = backend.prepare(&kernels).map_err(explain)?;
        Ok(Roles { backend, parties, code, lanes })
    }

    /// States with their arguments.
    fn states(&self) -> Result<Vec<(usize, B::State)>, String> {
        let (mut states, mut first) = (Vec::new(), 0);
        for (role, party) in self.parties.iter().enumerate() {
            let mut state = self.backend.state(party.slots(), self.lanes).map_err(explain)?;
            for (index, &slot) in party.inputs().iter().enumerate() {
                let given = words(self.lanes, (10 * role + index) as u64);
                let argument = self.backend.upload(given).map_err(explain)?;
                self.backend.load(&mut state, slot, &argument, 0).map_err(explain)?;
            }
            states.push((first, state));
            first += party.stages().len();
        }
        Ok(states)
    }

    /// All stages; `heard` is called with the frames of each.
    fn run(
        &self,
        states: &mut [(usize, B::State)],
        mail: &mut Mail,
        mut heard: impl FnMut(&[[Vec<u8>; 3]; 3]),
    ) -> Result<(), String> {
        let keys = LocalKeys::from_seed(11);
        let streams = keys.streams(5, 6);
        mail.last.as_flattened_mut().iter_mut().for_each(Vec::clear);
        for stage in 0..self.parties[0].stages().len() {
            for (from, (first, state)) in states.iter_mut().enumerate() {
                let mut sent: Frames = mail.next.iter_mut().map(|frames| std::mem::take(&mut frames[from])).collect();
                sent.iter_mut().for_each(Vec::clear);
                let received = mail.last[from].each_ref().map(Vec::as_slice);
                let staged = self.backend.stage(&self.code[*first + stage], state, &received, &mut sent, &streams);
                self.backend.collect(staged.map_err(explain)?, &mut sent).map_err(explain)?;
                mail.next.iter_mut().zip(sent).for_each(|(frames, bytes)| frames[from] = bytes);
            }
            std::mem::swap(&mut mail.last, &mut mail.next);
            heard(&mail.last);
        }
        Ok(())
    }
}

/// What all roles say on one back end.
pub fn staged<B: Backend>(backend: &B, parties: &[CheckedParty], lanes: usize) -> Result<Said, String> {
    let (roles, mut said) = (Roles::new(backend, parties, lanes)?, Said::new());
    let heard = |frames: &[[Vec<u8>; 3]; 3]| said.extend_from_slice(frames.as_flattened());
    roles.run(&mut roles.states()?, &mut Mail::default(), heard)?;
    Ok(said)
}

/// Bytes that the kernels of a party read and write in the device's memory, per lane: slots and fields.
fn bytes_of_lane(party: &CheckedParty) -> f64 {
    let kernel = |kernel: &CheckedKernel| {
        let slots = kernel.instructions().iter().filter(|i| matches!(i, Instruction::Load(_) | Instruction::Store(..)));
        let fields = kernel.receives().iter().chain(kernel.sends()).map(|field| f64::from(field.bits) / 8.0);
        8.0 * slots.count() as f64 + fields.sum::<f64>()
    };
    party.stages().iter().map(kernel).sum()
}

/// The sign of 64-bit words that lie in 63 bits, as an element.
fn sign() -> Result<Vec<CheckedParty>, String> {
    let ring = Ring::Z64;
    let lemmas = vec![Lemma::Sign { width: 63, dropped: 0, operands: 1 }, Lemma::Injection { ring }];
    let ops = vec![
        Op::Input,
        Op::Sign { operand: ValueId(0), lemma: LemmaId(0) },
        Op::Inject { bit: ValueId(1), lemma: LemmaId(1) },
    ];
    let scale = Scale::new(16).ok_or("no scale has 16 bits")?;
    rss3::compile(&Program::new(ring, scale, lemmas, ops).map_err(explain)?).map_err(explain)
}

/// What is measured, with its parties: resharing, sign tests, and the first entry of each function.
pub fn operations(catalog: &Catalog, sizes: &Sizes) -> Result<Vec<(String, Vec<CheckedParty>)>, String> {
    let mut all = vec![
        ("resharing, ring 64".to_owned(), rss3::compile_reshare(Ring::Z64).map_err(explain)?),
        ("sign test, 63 bits, and injection".to_owned(), sign()?),
    ];
    for function in &sizes.functions {
        let programs = catalog.iter().filter(|(name, _)| name.starts_with(function)).filter_map(|(name, published)| {
            let program = Entry::parse(&published.entry).ok()?.program;
            (program.widest_ring() == Ring::Z64).then_some((name, program))
        });
        let Some((name, program)) = programs.into_iter().next() else {
            return Err(format!("the catalog has no entry of {function} at 64 bits"));
        };
        all.push((name.to_owned(), rss3::compile(&program).map_err(explain)?));
    }
    Ok(all)
}

/// Element-wise operations.
pub fn stages(
    report: &mut Report,
    open: &Open<'_>,
    sizes: &Sizes,
    roofline: &Roofline,
    catalog: &Catalog,
) -> Result<(), String> {
    let note = format!(
        "One of three parties, medians of {}, of {} from {MANY} elements on. Kernels: bytes of slots and fields over the \
         seconds in which a kernel ran, by the device's clock, beside the memory's rate; elements a second and party: by \
         the same seconds, and by this process's clock, copies and messages through this process included.",
        sizes.runs,
        sizes.runs.min(FEW_RUNS)
    );
    let columns =
        ["what", "elements", "kernels", "at most", "of it", "a second and party by kernels", "by the clock", "aims"];
    report.table(TITLE, &note, &columns);
    let party = party(open, Tuning::default(), 1)?;
    for (name, parties) in operations(catalog, sizes)? {
        let bytes = parties.iter().map(bytes_of_lane).sum::<f64>();
        for &lanes in &sizes.lanes {
            let (what, many) = (name.clone(), lanes >= MANY);
            let runs = if many { sizes.runs.min(FEW_RUNS) } else { sizes.runs };
            let taken = (|| {
                let roles = Roles::new(&party.cuda, &parties, lanes)?;
                let (mut states, mut mail) = (roles.states()?, Mail::default());
                roles.run(&mut states, &mut mail, |_| {})?;
                // Later runs begin where the last one ended: they compute as much, from other words.
                party.timed(runs, || roles.run(&mut states, &mut mail, |_| {}))
            })();
            let taken = match taken {
                Ok(taken) => taken,
                Err(reason) => {
                    report.not_run(&format!("{what}, {lanes} elements"), &reason)?;
                    continue;
                }
            };
            let moved = bytes * lanes as f64 / taken.kernels;
            let [by_kernels, by_wall] =
                [taken.kernels, taken.wall].map(|seconds| parties.len() as f64 * lanes as f64 / seconds);
            let [most, of] = beside(moved, roofline.memory, "B/s");
            let memory = roofline.memory.filter(|_| many).map(|most| aim("≥ 70 %", moved >= MEMORY_AIM * most));
            let gelu = (many && name.starts_with("gelu")).then(|| aim("≥ 10 M/s", by_wall >= GELU_AIM));
            let aims: Vec<String> = memory.into_iter().chain(gelu).collect();
            report.row(vec![
                what,
                lanes.to_string(),
                scaled(moved, "B/s"),
                most,
                of,
                scaled(by_kernels, "/s"),
                scaled(by_wall, "/s"),
                aims.join(", "),
            ])?;
        }
    }
    Ok(())
}
