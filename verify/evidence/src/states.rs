//! Every output that a program can give at one input, whatever its lemmas leave open.
//!
//! A *state* holds the values that later operations still read. Each operation maps every state to one state per
//! choice of its adversary (a rounding, a bit inside the band), states that agree are merged, and values that nobody
//! reads any more are forgotten. The set stays small where enumerating choices would be 2ⁿ, and it is exact: a value
//! that is read twice is the same number both times, which independent value sets would forget.
//!
//! A truncation outside its window gives *any* ring element. Such a value is a symbol, `Poison`: a product with a
//! factor that is zero in the ring removes it, everything else computed from it is poison again, and poison in the
//! output means that the output can be anything. (Poison minus itself is called poison too: an outer approximation.)
//!
//! The meaning of every operation is that of `catalogs::evaluate`; [`mod@crate::exhaust`] replays what it reports there.

use crate::choices::{Choice, History};
use crate::gates::Gates;
use crate::prepare::{Action, Prepared, Step, Truncation, Word};
use catalogs::Rounding;

/// What a value is in all states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<W> {
    /// The same number.
    Known(W),
    /// Anything.
    Poison,
    /// Differs between states; look at the lane.
    Varies,
}

/// Which lanes hold poison: a bit for each of [`MAX_LANES`](crate::prepare::MAX_LANES).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Poison([u64; crate::prepare::MAX_LANES / 64]);

impl Poison {
    fn holds(self, lane: usize) -> bool {
        self.0[lane / 64] >> (lane % 64) & 1 == 1
    }

    fn set(&mut self, lane: usize, poisoned: bool) {
        let word = &mut self.0[lane / 64];
        *word = *word & !(1 << (lane % 64)) | u64::from(poisoned) << (lane % 64);
    }
}

#[derive(Clone, Copy)]
struct State<W, const LANES: usize, Tag> {
    lanes: [W; LANES],
    poison: Poison,
    tag: Tag,
}

/// The extreme outputs at one input.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<Tag> {
    /// The least possible output and how it came about.
    pub least: (i128, Tag),
    /// The greatest possible output and how it came about.
    pub greatest: (i128, Tag),
    /// Whether the output can be *anything*.
    pub escaped: bool,
}

/// So many states are compared pairwise, more are sorted.
const FEW: usize = 40;
/// With so many that were made last a new one is compared.
const NEAR: usize = 3;

/// The set of states exceeded the cap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capped;

/// Buffers for propagating states of at most `LANES` undetermined values.
pub struct Propagation<'a, W, const LANES: usize, H: History> {
    prepared: &'a Prepared<W>,
    gates: Gates<W>,
    cap: usize,
    /// Remembers choices, if asked to.
    pub history: H,
    values: Vec<Value<W>>,
    states: Vec<State<W, LANES, H::Tag>>,
    next: Vec<State<W, LANES, H::Tag>>,
    linear: Vec<(W, usize)>,
    products: Vec<(W, usize, usize)>,
    /// Whether some state may hold poison.
    poisoned: bool,
    /// Whether the sum at hand reads a value that is poison in every state.
    poison_read: bool,
}

impl<'a, W: Word, const LANES: usize, H: History> Propagation<'a, W, LANES, H> {
    /// Buffers for `prepared`, whose lanes must not exceed `LANES`; gives up beyond `cap` states.
    pub fn new(prepared: &'a Prepared<W>, cap: usize, history: H) -> Self {
        assert!(prepared.lanes <= LANES, "the caller chooses LANES by Prepared::lanes");
        Propagation {
            prepared,
            gates: Gates::new(prepared),
            cap,
            history,
            values: vec![Value::Varies; prepared.steps.len()],
            states: Vec::new(),
            next: Vec::new(),
            linear: Vec::new(),
            products: Vec::new(),
            poisoned: false,
            poison_read: false,
        }
    }

    /// All outputs at the signed residue `argument`.
    pub fn run(&mut self, argument: i64) -> Result<Outputs<H::Tag>, Capped> {
        let prepared = self.prepared;
        self.states.clear();
        self.states.push(State { lanes: [W::default(); LANES], poison: Poison::default(), tag: H::Tag::default() });
        self.poisoned = false;
        for (index, step) in prepared.steps.iter().enumerate() {
            if prepared.deterministic[index] {
                self.step(index, step, argument);
            }
        }
        let steps = self.gates.open(prepared, &self.values);
        let last = steps.len() - 1;
        let mut capped = false;
        for (index, step) in steps.iter().enumerate() {
            let forked = self.step(index, step, argument);
            if index != last && self.states.len() > 1 && (forked || !step.released.is_empty()) {
                self.merge(step.lane);
            }
            if self.states.len() > self.cap {
                capped = true;
                break;
            }
        }
        self.gates.keep(steps);
        if capped { Err(Capped) } else { Ok(self.outputs(last)) }
    }

    /// Applies one step to all states. Returns whether states were forked.
    fn step(&mut self, index: usize, step: &Step<W>, argument: i64) -> bool {
        match &step.action {
            Action::Nothing => false,
            Action::Input => {
                self.values[index] = Value::Known(W::of(argument.into()).reduced(self.prepared.input_unused));
                false
            }
            Action::Sum { unused, products, linear, constant, truncation } => {
                if self.resolve(*unused, products, linear, *constant) {
                    self.sum_alike(index, step)
                } else if self.poisoned || self.poison_read {
                    self.sum_poisoned(index, step)
                } else {
                    let constant = self.linear[0].0;
                    self.sum_states(index, step, constant, *unused, truncation.as_ref())
                }
            }
            Action::Sign { operand, position, band } => self.sign(index, step, *operand, *position, *band),
            Action::Inject { bit } => self.inject(index, step, *bit),
        }
    }

    fn outputs(&self, last: usize) -> Outputs<H::Tag> {
        let lane = self.prepared.steps[last].lane;
        let mut escaped = self.values[last] == Value::Poison;
        let mut of = |state: &State<W, LANES, H::Tag>| match self.values[last] {
            Value::Known(value) => value,
            Value::Poison => W::default(),
            Value::Varies => {
                escaped |= state.poison.holds(lane);
                state.lanes[lane]
            }
        };
        let first = &self.states[0];
        let mut least = (of(first), first.tag);
        let mut greatest = least;
        for state in &self.states[1..] {
            let value = of(state);
            if value < least.0 {
                least = (value, state.tag);
            }
            if value > greatest.0 {
                greatest = (value, state.tag);
            }
        }
        let wide = |(value, tag): (W, H::Tag)| (value.wide(), tag);
        Outputs { least: wide(least), greatest: wide(greatest), escaped }
    }

    /// Keeps one of states that agree; `lane` is where most of those that do not agree differ.
    fn merge(&mut self, lane: usize) {
        if self.states.len() > FEW {
            self.states.sort_unstable_by(|a, b| {
                a.lanes[lane].cmp(&b.lanes[lane]).then_with(|| (a.lanes, a.poison).cmp(&(b.lanes, b.poison)))
            });
            self.states.dedup_by(|a, b| alike(a, b, lane));
            return;
        }
        let mut kept = 1;
        for index in 1..self.states.len() {
            let state = self.states[index];
            // Neighbours fork into the same value: look at the latest first.
            if !self.states[..kept].iter().rev().any(|known| alike(known, &state, lane)) {
                self.states[kept] = state;
                kept += 1;
            }
        }
        self.states.truncate(kept);
    }

    /// Splits a sum into what is the same in all states (`self.linear[0].0`) and what is not. Returns whether
    /// nothing varies. Where poison occurs the split is not used.
    fn resolve(&mut self, unused: u32, products: &[(W, usize, usize)], linear: &[(W, usize)], constant: W) -> bool {
        let mut total = constant;
        let mut varies = false;
        self.poison_read = false;
        self.linear.clear();
        self.products.clear();
        self.linear.push((W::default(), usize::MAX));
        let lane = |index: usize| self.prepared.steps[index].lane;
        for &(coefficient, left, right) in products {
            match (self.values[left], self.values[right]) {
                (Value::Known(a), Value::Known(b)) => {
                    total = total.plus(coefficient.times(a).times(b));
                }
                (Value::Known(a), Value::Varies) => {
                    varies = true;
                    self.linear.push((coefficient.times(a), lane(right)));
                }
                (Value::Varies, Value::Known(b)) => {
                    varies = true;
                    self.linear.push((coefficient.times(b), lane(left)));
                }
                (Value::Varies, Value::Varies) => {
                    varies = true;
                    self.products.push((coefficient, lane(left), lane(right)));
                }
                (Value::Varies, Value::Poison) | (Value::Poison, Value::Varies) => {
                    varies = true;
                    self.poison_read = true;
                }
                _ => self.poison_read = true,
            }
        }
        for &(coefficient, value) in linear {
            match self.values[value] {
                Value::Known(v) => total = total.plus(coefficient.times(v)),
                Value::Varies => {
                    varies = true;
                    self.linear.push((coefficient, lane(value)));
                }
                Value::Poison => self.poison_read = true,
            }
        }
        self.linear[0].0 = total.reduced(unused);
        !varies
    }

    /// A sum that is the same in all states. Returns whether states were forked.
    fn sum_alike(&mut self, index: usize, step: &Step<W>) -> bool {
        let Action::Sum { truncation, .. } = &step.action else { return false };
        // Where poison is read the split is not used: a vanishing factor may remove it.
        let total = if self.poison_read { self.sum_in(&step.action, None) } else { Value::Known(self.linear[0].0) };
        let Some(truncation) = truncation else {
            self.values[index] = total;
            return false;
        };
        match total {
            Value::Known(total) if truncation.low <= total && total <= truncation.high => {
                let Rounding { low, high } = truncation.rounding;
                let floor = total.halved(truncation.shift);
                if low == high {
                    self.values[index] = Value::Known(floor.plus(W::of(low.into())).reduced(truncation.target_unused));
                    return false;
                }
                self.values[index] = Value::Varies;
                self.next.clear();
                for state in &self.states {
                    fork(&mut self.next, &mut self.history, state, step, index, floor, truncation);
                }
                std::mem::swap(&mut self.states, &mut self.next);
                true
            }
            _ => {
                self.values[index] = Value::Poison;
                false
            }
        }
    }

    /// A sum over lanes, none of them poisoned.
    fn sum_states(
        &mut self,
        index: usize,
        step: &Step<W>,
        constant: W,
        unused: u32,
        truncation: Option<&Truncation<W>>,
    ) -> bool {
        self.values[index] = Value::Varies;
        self.next.clear();
        let (linear, products) = (&self.linear[1..], &self.products[..]);
        for state in &self.states {
            let mut total = constant;
            for &(coefficient, lane) in linear {
                total = total.plus(coefficient.times(state.lanes[lane]));
            }
            for &(coefficient, left, right) in products {
                let product = state.lanes[left].times(state.lanes[right]);
                total = total.plus(coefficient.times(product));
            }
            let total = total.reduced(unused);
            match truncation {
                None => self.next.push(with(state, step, Value::Known(total))),
                Some(t) if t.low <= total && total <= t.high => {
                    fork(&mut self.next, &mut self.history, state, step, index, total.halved(t.shift), t);
                }
                Some(_) => {
                    self.poisoned = true;
                    self.next.push(with(state, step, Value::Poison));
                }
            }
        }
        std::mem::swap(&mut self.states, &mut self.next);
        truncation.is_some()
    }

    /// As [`Self::sum_states`] where an operand may be poison.
    fn sum_poisoned(&mut self, index: usize, step: &Step<W>) -> bool {
        let Action::Sum { truncation, .. } = &step.action else { return false };
        let mut next = std::mem::take(&mut self.next);
        next.clear();
        for state in &self.states {
            let total = self.sum_in(&step.action, Some(state));
            match (total, truncation) {
                (Value::Known(total), Some(t)) if t.low <= total && total <= t.high => {
                    fork(&mut next, &mut self.history, state, step, index, total.halved(t.shift), t);
                }
                (Value::Known(_), None) => next.push(with(state, step, total)),
                _ => next.push(with(state, step, Value::Poison)),
            }
        }
        self.values[index] = Value::Varies;
        self.poisoned |= next.iter().any(|state| state.poison != Poison::default());
        self.next = std::mem::replace(&mut self.states, next);
        true
    }

    fn read(&self, index: usize, state: Option<&State<W, LANES, H::Tag>>) -> Value<W> {
        match (self.values[index], state) {
            (Value::Varies, Some(state)) => {
                let lane = self.prepared.steps[index].lane;
                if state.poison.holds(lane) { Value::Poison } else { Value::Known(state.lanes[lane]) }
            }
            (value, _) => value,
        }
    }

    /// The sum before its truncation in one state, with poison.
    fn sum_in(&self, action: &Action<W>, state: Option<&State<W, LANES, H::Tag>>) -> Value<W> {
        let Action::Sum { unused, products, linear, constant, .. } = action else { return Value::Poison };
        let vanishes = |value: W| value.reduced(*unused) == W::default();
        let mut total = *constant;
        for &(coefficient, left, right) in products {
            match (self.read(left, state), self.read(right, state)) {
                (Value::Known(a), Value::Known(b)) => {
                    total = total.plus(coefficient.times(a).times(b));
                }
                (Value::Known(a), _) | (_, Value::Known(a)) if vanishes(coefficient.times(a)) => {}
                _ if vanishes(coefficient) => {}
                _ => return Value::Poison,
            }
        }
        for &(coefficient, value) in linear {
            match self.read(value, state) {
                Value::Known(v) => total = total.plus(coefficient.times(v)),
                _ if vanishes(coefficient) => {}
                _ => return Value::Poison,
            }
        }
        Value::Known(total.reduced(*unused))
    }

    fn sign(&mut self, index: usize, step: &Step<W>, operand: usize, position: u32, band: u128) -> bool {
        let bit = |value: W| {
            let (bit, above) = value.split(position);
            (bit, above < band)
        };
        match self.values[operand] {
            Value::Known(value) if !bit(value).1 => {
                self.values[index] = Value::Known(bit(value).0);
                return false;
            }
            Value::Poison => {
                self.values[index] = Value::Poison;
                return false;
            }
            _ => {}
        }
        let mut next = std::mem::take(&mut self.next);
        next.clear();
        for state in &self.states {
            match self.read(operand, Some(state)) {
                Value::Known(value) => match bit(value) {
                    (exact, false) => next.push(with(state, step, Value::Known(exact))),
                    (_, true) => {
                        for choice in [0, 1] {
                            let mut forked = with(state, step, Value::Known(W::of(choice)));
                            forked.tag = self.history.extend(state.tag, index, Choice::Bit(choice == 1));
                            next.push(forked);
                        }
                    }
                },
                _ => next.push(with(state, step, Value::Poison)),
            }
        }
        self.values[index] = Value::Varies;
        self.next = std::mem::replace(&mut self.states, next);
        true
    }

    fn inject(&mut self, index: usize, step: &Step<W>, bit: usize) -> bool {
        if self.values[bit] != Value::Varies {
            self.values[index] = self.values[bit];
            return false;
        }
        let lane = self.prepared.steps[bit].lane;
        for state in &mut self.states {
            let value = if state.poison.holds(lane) { Value::Poison } else { Value::Known(state.lanes[lane]) };
            *state = with(state, step, value);
        }
        self.values[index] = Value::Varies;
        false
    }
}

/// Whether nothing that is read later distinguishes two states; `lane` is where most of those that do differ.
#[inline(always)]
fn alike<W: Word, const LANES: usize, Tag>(a: &State<W, LANES, Tag>, b: &State<W, LANES, Tag>, lane: usize) -> bool {
    a.lanes[lane] == b.lanes[lane] && a.poison == b.poison && a.lanes.iter().zip(&b.lanes).all(|(a, b)| a == b)
}

/// `state` after `step`, whose result is `value`.
#[inline]
fn with<W: Word, const LANES: usize, Tag: Copy>(
    state: &State<W, LANES, Tag>,
    step: &Step<W>,
    value: Value<W>,
) -> State<W, LANES, Tag> {
    let mut result = *state;
    for &lane in &step.released {
        result.lanes[lane] = W::default();
        result.poison.set(lane, false);
    }
    match value {
        Value::Known(value) => {
            result.lanes[step.lane] = value;
            result.poison.set(step.lane, false);
        }
        _ => {
            result.lanes[step.lane] = W::default();
            result.poison.set(step.lane, true);
        }
    }
    result
}

#[inline(always)]
fn fork<W: Word, const LANES: usize, H: History>(
    next: &mut Vec<State<W, LANES, H::Tag>>,
    history: &mut H,
    state: &State<W, LANES, H::Tag>,
    step: &Step<W>,
    index: usize,
    floor: W,
    truncation: &Truncation<W>,
) {
    let mut forked = with(state, step, Value::Known(W::default()));
    let mut delta = truncation.rounding.low;
    loop {
        forked.lanes[step.lane] = floor.plus(W::of(delta.into())).reduced(truncation.target_unused);
        forked.tag = history.extend(state.tag, index, Choice::Rounding(delta));
        // Neighbouring states fork into the same value more often than not.
        let mut fresh = true;
        for known in &next[next.len().saturating_sub(NEAR)..] {
            fresh &= !alike(known, &forked, step.lane);
        }
        if fresh {
            next.push(forked);
        }
        if delta >= truncation.rounding.high {
            break;
        }
        delta += 1;
    }
}
