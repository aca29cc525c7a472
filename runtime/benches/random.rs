//! Speed of the generator on one core. Validates before it times: a range drawn whole must equal
//! the same range drawn in two parts.

use std::time::{Duration, Instant};

use runtime::random::{Draw, Error, Generator, Key, Label, Roles, SessionId};

const LANES: usize = 1 << 16;

fn main() -> Result<(), Error> {
    let generator = Generator::new(&Key::fresh()?, &SessionId([0; 32]), 0);
    println!("bits  lanes/s       stream bytes/s  output bytes/s");
    for bits in [1, 8, 16, 32, 40, 64] {
        let label = Label { node: 1, tile: 0, roles: Roles::named::<0>(), step: 0, draw: Draw::named::<0>(), bits };
        let mut whole = vec![0; LANES];
        let mut parts = vec![0; LANES];
        generator.fill(&label, 0, &mut whole)?;
        let (low, high) = parts.split_at_mut(LANES / 3);
        generator.fill(&label, (LANES / 3) as u64, high)?;
        generator.fill(&label, 0, low)?;
        assert_eq!(whole, parts, "a split range differs from the whole");

        let start = Instant::now();
        let mut lanes = 0u64;
        while start.elapsed() < Duration::from_millis(400) {
            generator.fill(&label, lanes, &mut whole)?;
            std::hint::black_box(&whole);
            lanes += LANES as u64;
        }
        let rate = lanes as f64 / start.elapsed().as_secs_f64();
        let word = u32::from(bits.div_ceil(8)).next_power_of_two();
        println!(
            "{bits:4}  {:8.2} G  {:10.2} G    {:10.2} G",
            rate / 1e9,
            rate * f64::from(word) / 1e9,
            rate * 8.0 / 1e9
        );
    }
    Ok(())
}
