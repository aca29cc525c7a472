//! From probes to rates: a linear program.
//!
//! Every probe is a circuit with its [`Work`] and the seconds it took. The rates are the non-negative ones with the
//! least sum of relative differences, Σ |predicted / measured − 1|: one probe that was disturbed moves them little,
//! and a short probe counts as much as a long one.

use super::{Resource, Work};
use good_lp::{Expression, ProblemVariables, Solution, SolverModel, constraint, variable};

/// What a probe asked and what it took.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Which probe.
    pub name: String,
    /// What one party was asked.
    pub work: Work,
    /// The median of its runs.
    pub seconds: f64,
}

/// Rates in the order of [`Resource::ALL`], and the largest relative difference that is left.
///
/// # Errors
/// A phrase: no measurement, or one without time.
pub fn fit(measurements: &[Measurement]) -> Result<([f64; Resource::ALL.len()], f64), String> {
    if let Some(none) =
        measurements.iter().find(|measurement| measurement.seconds.is_nan() || measurement.seconds <= 0.0)
    {
        return Err(format!("probe {} took {} s", none.name, none.seconds));
    }
    if measurements.is_empty() {
        return Err("nothing was measured".into());
    }
    // In shares of what each kind would take if it were alone responsible for the probe that asks most of it, so that
    // the solver sees numbers of one size.
    let scale = Resource::ALL.map(|resource| {
        let shares = measurements.iter().map(|measurement| measurement.work[resource] / measurement.seconds);
        1.0 / shares.fold(f64::MIN_POSITIVE, f64::max)
    });
    let mut variables = ProblemVariables::new();
    let rates = Resource::ALL.map(|_| variables.add(variable().min(0.0).max(1e3)));
    let misses: Vec<_> = measurements.iter().map(|_| variables.add(variable().min(0.0))).collect();
    let predicted = |measurement: &Measurement| {
        let mut predicted = Expression::from(0.0);
        for ((rate, resource), scale) in rates.iter().zip(Resource::ALL).zip(scale) {
            predicted.add_mul(measurement.work[resource] * scale / measurement.seconds, *rate);
        }
        predicted
    };
    let mut problem = variables.minimise(misses.iter().sum::<Expression>()).using(good_lp::solvers::microlp::microlp);
    for (measurement, miss) in measurements.iter().zip(&misses) {
        problem.add_constraint(constraint!(predicted(measurement) - 1.0 <= *miss));
        problem.add_constraint(constraint!(1.0 - predicted(measurement) <= *miss));
    }
    let solution = problem.solve().map_err(|error| format!("no rates fit the probes: {error}"))?;
    let mut found = [0.0; Resource::ALL.len()];
    for ((found, rate), scale) in found.iter_mut().zip(rates).zip(scale) {
        *found = solution.value(rate).max(0.0) * scale;
    }
    let off = |measurement: &Measurement| {
        let predicted: f64 = Resource::ALL.iter().zip(found).map(|(&r, rate)| measurement.work[r] * rate).sum();
        (predicted / measurement.seconds - 1.0).abs()
    };
    Ok((found, measurements.iter().map(off).fold(0.0, f64::max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(amounts: [f64; Resource::ALL.len()], rates: [f64; Resource::ALL.len()]) -> Measurement {
        let work = Resource::ALL.iter().zip(amounts).fold(Work::NONE, |work, (&r, amount)| work.plus(r, amount));
        let seconds = amounts.iter().zip(rates).map(|(amount, rate)| amount * rate).sum();
        Measurement { name: "made".into(), work, seconds }
    }

    #[test]
    fn rates_are_found_again_even_where_one_probe_was_disturbed() {
        let rates = [7e-5, 2e-9, 3e-6, 4e-10, 2e-9, 1e-9, 3e-10, 5e-10, 6e-10];
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let mut measurements: Vec<Measurement> = (0..27)
            .map(|probe| {
                let mut amounts = rates.map(|rate| 0.01 * random() / rate);
                amounts[probe % rates.len()] *= 30.0;
                measurement(amounts, rates)
            })
            .collect();
        let (found, worst) = fit(&measurements).unwrap();
        assert!(worst < 1e-6, "{worst}");
        measurements[5].seconds *= 3.0;
        let (disturbed, worst) = fit(&measurements).unwrap();
        assert!(worst > 0.5, "{worst}");
        for ((rate, found), disturbed) in rates.iter().zip(found).zip(disturbed) {
            assert!((found / rate - 1.0).abs() < 1e-6 && (disturbed / rate - 1.0).abs() < 1e-6, "{rate} {found}");
        }
    }

    #[test]
    fn nothing_is_no_calibration() {
        assert!(fit(&[]).is_err());
        let mut none = measurement([1.0; Resource::ALL.len()], [1.0; Resource::ALL.len()]);
        none.seconds = 0.0;
        assert_eq!(fit(&[none]).unwrap_err(), "probe made took 0 s");
    }
}
