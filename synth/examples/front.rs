//! Prints the Pareto front of a goal: FUNCTION LOW HIGH RING SCALE OUTPUT_SCALE ABSOLUTE RELATIVE ACCURACY.
//!
//! LOW and HIGH are real numbers, both inclusive. FAMILY in the environment restricts the families, SHOW prints files,
//! TIGHT keeps only programs whose bounds are tight.

use catalogs::protocol::rss3::Rss3;
use catalogs::{Decimal, Format, Function, Norm, Ring, Scale, Window};
use std::time::Instant;
use synth::expression::Expression;
use synth::families::{Goal, Shape};
use synth::search::{Wanted, front_of, publish};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [function, low, high, ring, scale, output, absolute, relative, accuracy] = &arguments[..] else {
        return Err("FUNCTION LOW HIGH RING SCALE OUTPUT_SCALE ABSOLUTE RELATIVE ACCURACY expected".into());
    };
    let scale = Scale::new(scale.parse()?).ok_or("scale")?;
    let integer = |text: &str| -> Result<i64, std::num::ParseFloatError> {
        Ok((text.parse::<f64>()? * 2f64.powi(i32::from(scale.bits()))).round() as i64)
    };
    let goal = Goal {
        function: match Function::parse(function) {
            Some(function) => function,
            None => Expression::parse(function)?.function()?,
        },
        window: Window { low: integer(low)?, high: integer(high)? },
        fitted: None,
        input: Format { ring: Ring::new(ring.parse()?).ok_or("ring")?, scale },
        output_scale: Scale::new(output.parse()?).ok_or("output scale")?,
        norm: Norm {
            absolute: Decimal::parse(absolute).ok_or("absolute")?,
            relative: Decimal::parse(relative).ok_or("relative")?,
        },
        accuracy: Decimal::parse(accuracy).ok_or("accuracy")?,
        density: None,
    };
    let start = Instant::now();
    let family = std::env::var("FAMILY").unwrap_or_default();
    let shape = |shape: &dyn Shape| shape.family().starts_with(&family);
    let wanted = Wanted { shape: &shape, tight: std::env::var_os("TIGHT").is_some(), ..Wanted::ALL };
    let found = front_of(&goal, &Rss3, wanted, &mut |progress| {
        eprintln!("{:6.2} s {progress:?}", start.elapsed().as_secs_f64())
    })?;
    for found in found {
        let published = publish(&found);
        let begin = Instant::now();
        verify::check_texts(&published.entry, &published.certificate)?;
        println!(
            "{:>11} witness {:>11} tight {} {:2} rounds {:3} B headroom {:2} pieces {:3} check {:5.1} ms {} {}",
            found.entry.claim.bound.to_string(),
            found.certificate.witness.error.to_string(),
            found.is_tight(),
            found.rounds,
            found.bits.div_ceil(8),
            found.headroom_bits,
            found.certificate.pieces.len(),
            begin.elapsed().as_secs_f64() * 1e3,
            found.family,
            found.parameters
        );
        if std::env::var_os("SHOW").is_some() {
            println!("{}{}", published.entry, published.certificate);
        }
    }
    println!("{:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}
