//! From probes to rates: robust least squares of logarithms.
//!
//! Every probe is a circuit with its [`Work`] and the seconds it took. The rates are those with the least sum of squares of
//! ln(predicted / measured), where large differences count as they are: twice and half of what was measured are as bad, a
//! probe that was disturbed moves the rates little, and a short probe counts as much as a long one. (Relative differences
//! would not do: a prediction of nothing is off by one and one of three times as much by two, so that rates come out small
//! where probes disagree.)
//!
//! Kinds of work that come together in all probes cannot be told apart by them: many rates fit almost equally well, and
//! noise would choose. So what the usual machine has, at the pace of this one, is held against the probes with the weight
//! of a small difference: a rate that the probes determine is theirs, and one that they do not keeps its usual ratio to the
//! others. No rate falls to nothing.

use super::{Machine, Resource, Work};

/// Kinds of work.
const KINDS: usize = Resource::ALL.len();

/// What a probe asked and what it took.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Which probe.
    pub name: String,
    /// What one party was asked.
    pub work: Work,
    /// What it took.
    pub seconds: f64,
    /// What its difference counts: 1, or less, or nothing.
    pub weight: f64,
}

/// Differences of logarithms below this are squared, larger ones count as they are.
const NOISE: f64 = 0.3;
/// What the square of a rate's relative distance from the usual one counts.
const BELIEF: f64 = 0.1;
/// No rate is a smaller part of the usual one at this machine's pace.
const LEAST: f64 = 0.05;
const REWEIGHTINGS: usize = 60;
const SWEEPS: usize = 400;

/// Rates in the order of [`Resource::ALL`], and the largest relative difference that is left of what counts. `usual` is a
/// machine whose ratios count where the measurements say nothing, and which is the result where none counts.
///
/// # Errors
/// A phrase: no measurement, or one without time or without work.
pub fn fit(measurements: &[Measurement], usual: &Machine) -> Result<([f64; KINDS], f64), String> {
    if let Some(none) =
        measurements.iter().find(|measurement| measurement.seconds.is_nan() || measurement.seconds <= 0.0)
    {
        return Err(format!("probe {} took {} s", none.name, none.seconds));
    }
    let pace = pace(measurements, usual)?;
    let usual = Resource::ALL.map(|resource| (pace * usual.rate(resource)).max(f64::MIN_POSITIVE));
    // Each probe as shares of its seconds, each rate in units of the usual one.
    let rows: Vec<[f64; KINDS]> = measurements
        .iter()
        .map(|one| std::array::from_fn(|kind| one.work[Resource::ALL[kind]] * usual[kind] / one.seconds))
        .collect();
    let mut rates = [1.0; KINDS];
    for _ in 0..REWEIGHTINGS {
        // Half of the way, so that no step goes too far.
        let next = reweighted(measurements, &rows, rates);
        rates.iter_mut().zip(next).for_each(|(rate, next)| *rate = (*rate * next).sqrt());
    }
    let counting = rows.iter().zip(measurements).filter(|(_, measurement)| measurement.weight > 0.0);
    let worst = counting.map(|(row, _)| (dot(row, &rates) - 1.0).abs()).fold(0.0, f64::max);
    Ok((std::array::from_fn(|kind| rates[kind] * usual[kind]), worst))
}

/// How many times as long as on `usual` measurements take: their weighted median, and 1 where none counts.
fn pace(measurements: &[Measurement], usual: &Machine) -> Result<f64, String> {
    let of = |one: &Measurement| (one.seconds / usual.seconds(&one.work, None), one.weight);
    let mut paces: Vec<(f64, f64)> = measurements.iter().map(of).collect();
    paces.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (largest, _) = paces.last().ok_or("nothing was measured")?;
    if !largest.is_finite() {
        return Err("a probe asked for nothing".into());
    }
    let half = paces.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    let is_middle = |(pace, weight): &(f64, f64)| {
        below += weight;
        (below > half).then_some(*pace)
    };
    Ok(paces.iter().find_map(is_middle).unwrap_or(1.0))
}

fn dot(row: &[f64; KINDS], rates: &[f64; KINDS]) -> f64 {
    row.iter().zip(rates).map(|(share, rate)| share * rate).sum()
}

/// The least squares in which every difference has the weight and the slopes that `before` gives it.
fn reweighted(measurements: &[Measurement], rows: &[[f64; KINDS]], before: [f64; KINDS]) -> [f64; KINDS] {
    let (mut matrix, mut right) = ([[0.0; KINDS]; KINDS], [0.0; KINDS]);
    for (measurement, row) in measurements.iter().zip(rows) {
        // The logarithm near `before` is linear in the rates.
        let expected = dot(row, &before);
        let difference = expected.ln();
        let weight = measurement.weight / difference.abs().max(NOISE);
        let slopes = row.map(|share| share / expected);
        for kind in 0..KINDS {
            right[kind] += weight * slopes[kind] * (1.0 - difference);
            (0..KINDS).for_each(|other| matrix[kind][other] += weight * slopes[kind] * slopes[other]);
        }
    }
    for kind in 0..KINDS {
        let weight = BELIEF / before[kind].max(1.0);
        matrix[kind][kind] += weight;
        right[kind] += weight;
    }
    // One rate after the other: the matrix is positive definite.
    let mut rates = before;
    for _ in 0..SWEEPS {
        for kind in 0..KINDS {
            let others: f64 = dot(&matrix[kind], &rates) - matrix[kind][kind] * rates[kind];
            rates[kind] = ((right[kind] - others) / matrix[kind][kind]).max(LEAST);
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(amounts: [f64; KINDS], rates: [f64; KINDS]) -> Measurement {
        let work = Resource::ALL.iter().zip(amounts).fold(Work::NONE, |work, (&r, amount)| work.plus(r, amount));
        let seconds = amounts.iter().zip(rates).map(|(amount, rate)| amount * rate).sum();
        Measurement { name: "made".into(), work, seconds, weight: 1.0 }
    }

    /// Numbers from 0 to 1.
    fn random() -> impl FnMut() -> f64 {
        let mut state = 1u64;
        move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / (1u64 << 24) as f64
        }
    }

    /// What a probe asks: mostly of one kind, each in its turn, and something of all others.
    fn amounts(probe: usize, random: &mut impl FnMut() -> f64) -> [f64; KINDS] {
        let mut amounts = RATES.map(|rate| 0.01 * random() / rate);
        amounts[probe % KINDS] *= 30.0;
        amounts
    }

    /// So many probes on a machine of [`RATES`].
    fn made(probes: usize) -> Vec<Measurement> {
        let mut random = random();
        (0..probes).map(|probe| measurement(amounts(probe, &mut random), RATES)).collect()
    }

    fn machine(rates: [f64; KINDS]) -> Machine {
        Machine::new("made".into(), rates, 0.0)
    }

    const RATES: [f64; KINDS] =
        [7e-5, 2e-5, 2e-9, 1e-4, 1e-9, 3e-5, 3e-9, 3e-6, 4e-10, 2e-9, 1e-9, 3e-10, 5e-10, 6e-10];

    /// A machine with other ratios, each up to twice or half as large.
    fn another() -> Machine {
        let factors = [1.6, 1.2, 0.7, 0.8, 1.4, 0.9, 1.7, 1.1, 2.0, 0.5, 1.3, 0.8, 1.9, 0.6];
        machine(std::array::from_fn(|kind| 3.0 * factors[kind] * RATES[kind]))
    }

    #[test]
    fn rates_are_found_again_even_where_one_probe_was_disturbed() {
        let mut measurements = made(4 * KINDS);
        let (_, worst) = fit(&measurements, &another()).unwrap();
        assert!(worst < 0.05, "{worst}");
        measurements[5].seconds *= 3.0;
        let (disturbed, worst) = fit(&measurements, &another()).unwrap();
        assert!(worst > 0.5, "{worst}");
        for (rate, found) in RATES.iter().zip(disturbed) {
            assert!((found / rate - 1.0).abs() < 0.3, "{rate} {found}");
        }
    }

    /// Steps and draws come nearly together in every probe: noise must not decide between them. Without what is usual
    /// rates are off by a factor of three here, or fall to the least.
    #[test]
    fn what_probes_cannot_tell_apart_keeps_its_usual_ratio() {
        let mut random = random();
        let amounts: Vec<[f64; KINDS]> = (0..24)
            .map(|probe| {
                let mut amounts = amounts(probe, &mut random);
                let apart = 0.97 + 0.06 * random();
                amounts[Resource::Draw as usize] = 0.1 * apart * amounts[Resource::Step as usize];
                amounts
            })
            .collect();
        let usual = machine(RATES);
        for _ in 0..20 {
            let noisy = |amounts: &[f64; KINDS]| {
                let one = measurement(*amounts, RATES.map(|rate| 2.0 * rate));
                Measurement { seconds: one.seconds * (0.95 + 0.1 * random()), ..one }
            };
            let (found, worst) = fit(&amounts.iter().map(noisy).collect::<Vec<_>>(), &usual).unwrap();
            assert!(worst < 0.2, "{worst}");
            for (rate, found) in RATES.iter().zip(found) {
                assert!((0.8..1.25).contains(&(found / (2.0 * rate))), "{rate} {found}");
            }
        }
    }

    #[test]
    fn what_counts_nothing_changes_nothing() {
        let mut measurements = made(2 * KINDS);
        let (rates, worst) = fit(&measurements, &another()).unwrap();
        let noise = |one: &Measurement| Measurement { seconds: 1000.0 * one.seconds, weight: 0.0, ..one.clone() };
        let noise: Vec<Measurement> = measurements.iter().chain(&measurements).map(noise).collect();
        measurements.extend(noise.clone());
        let (beside, worst_beside) = fit(&measurements, &another()).unwrap();
        assert!((worst_beside - worst).abs() < 1e-9);
        assert!(rates.iter().zip(beside).all(|(rate, beside)| (beside / rate - 1.0).abs() < 1e-9));
        // Nothing counts: the usual machine.
        let (rates, worst) = fit(&noise, &another()).unwrap();
        assert!(
            worst == 0.0
                && rates.iter().zip(Resource::ALL).all(|(rate, r)| (rate / another().rate(r) - 1.0).abs() < 1e-9)
        );
    }

    #[test]
    fn nothing_is_no_calibration() {
        assert_eq!(fit(&[], &another()).unwrap_err(), "nothing was measured");
        let mut none = measurement([1.0; KINDS], [1.0; KINDS]);
        none.seconds = 0.0;
        assert_eq!(fit(&[none], &another()).unwrap_err(), "probe made took 0 s");
        let idle = Measurement { work: Work::NONE, seconds: 1.0, ..measurement([1.0; KINDS], [1.0; KINDS]) };
        assert_eq!(fit(&[idle], &another()).unwrap_err(), "a probe asked for nothing");
    }
}
