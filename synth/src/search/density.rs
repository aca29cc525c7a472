//! How much a program errs on inputs that are likely: an objective beside the certified supremum, and never a claim.

use super::lanes::{Lanes, Roundings};
use super::{Found, Progress, SearchError, Wanted, front_within, search, undominated};
use crate::families::{Goal, target};
use catalogs::Program;
use catalogs::protocol::Model;
use rug::Float;

/// Inputs at which a mean is taken: the middles of so many equally likely parts.
const PARTS: usize = 512;

/// A distribution of inputs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Density {
    /// The normal distribution.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation, positive.
        deviation: f64,
    },
    /// All inputs between two numbers alike.
    Uniform {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
    },
}

impl Density {
    /// Reads `normal:MEAN,DEVIATION` or `uniform:LOW,HIGH`.
    pub fn parse(text: &str) -> Option<Density> {
        let (name, numbers) = text.split_once(':')?;
        let (first, second) = numbers.split_once(',')?;
        let (first, second): (f64, f64) = (first.trim().parse().ok()?, second.trim().parse().ok()?);
        let is_finite = first.is_finite() && second.is_finite();
        match name.trim() {
            "normal" if is_finite && second > 0.0 => Some(Density::Normal { mean: first, deviation: second }),
            "uniform" if is_finite && first < second => Some(Density::Uniform { low: first, high: second }),
            _ => None,
        }
    }

    /// The x below which a part `p` of the inputs lies, 0 < p < 1.
    fn quantile(self, p: f64) -> f64 {
        match self {
            Density::Uniform { low, high } => low + (high - low) * p,
            Density::Normal { mean, deviation } => {
                let below = |z: f64| Float::with_val(64, -z / std::f64::consts::SQRT_2).erfc().to_f64() / 2.0;
                let (mut low, mut high) = (-9.0f64, 9.0f64);
                for _ in 0..52 {
                    let middle = (low + high) / 2.0;
                    if below(middle) < p { low = middle } else { high = middle }
                }
                mean + deviation * low
            }
        }
    }

    /// The middles of `count` equally likely parts, as far as they lie in [low, high].
    pub(crate) fn places(self, count: usize, low: f64, high: f64) -> Vec<f64> {
        let middle = |part: usize| self.quantile((part as f64 + 0.5) / count as f64);
        (0..count).map(middle).filter(|x| (low..=high).contains(x)).collect()
    }

    /// The mean of |program − f| in the goal's norm, over the density as far as it lies in the window, with all
    /// roundings low and all high alike. `None` if nothing of it lies there.
    pub fn mean_error(self, program: &Program, goal: &Goal) -> Option<f64> {
        let unit = 2f64.powi(i32::from(goal.output_scale.bits()));
        let places = self.places(PARTS, f64::NEG_INFINITY, f64::INFINITY).into_iter();
        let inputs = places.map(|x| (x * 2f64.powi(i32::from(goal.input.scale.bits()))).round() as i64);
        let inputs: Vec<i64> = inputs.filter(|input| goal.window.contains(i128::from(*input))).collect();
        let mut lanes = Lanes::new(program);
        let [low, high] = [Roundings::Low, Roundings::High].map(|roundings| {
            lanes.run(&inputs, roundings, false);
            lanes.outputs.clone()
        });
        let (mut sum, mut count) = (0.0, 0usize);
        for (index, input) in inputs.iter().enumerate() {
            let argument = Float::with_val(96, goal.real(*input));
            let exact = target::value(&goal.function, &argument, 96).to_f64();
            for value in [low[index], high[index]] {
                sum += (value / unit - exact).abs() / goal.unit(exact);
                count += 1;
            }
        }
        (count > 0).then(|| sum / count as f64)
    }
}

/// The front over certified error, rounds, bytes, headroom and mean error over the goal's density: the programs that a
/// search without a density finds, and those whose fits [lean](crate::minimax::lean) towards it.
///
/// # Errors
/// As [`super::front`].
pub fn front_for(
    goal: &Goal,
    model: &dyn Model,
    waves: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Found>, SearchError> {
    let Some(density) = goal.density else { return search(goal, model, Wanted::WATCHED, waves, progress) };
    let plain = Goal { density: None, ..goal.clone() };
    let mut found = search(&plain, model, Wanted::WATCHED, waves, progress)?;
    for found in &mut found {
        found.mean_error = density.mean_error(&found.entry.program, goal);
    }
    // A lean towards likely inputs may take what roundings need: then the plain ones are all there are.
    found.extend(front_within(goal, model, waves, progress).unwrap_or_default());
    Ok(undominated(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_read_and_have_quantiles() {
        for text in ["", "normal", "normal:0", "normal:0,0", "normal:0,-1", "uniform:2,1", "normal:inf,1", "cauchy:0,1"]
        {
            assert_eq!(Density::parse(text), None, "{text}");
        }
        let normal = Density::parse("normal:1,2").unwrap();
        assert!((normal.quantile(0.5) - 1.0).abs() < 1e-9);
        // Φ(1) = 0.8413447460685429.
        assert!((normal.quantile(0.841_344_746_068_542_9) - 3.0).abs() < 1e-9);
        assert_eq!(Density::parse("uniform: -1, 3").unwrap().quantile(0.25), 0.0);
    }
}
