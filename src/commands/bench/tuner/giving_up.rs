//! Where another system's functions are given up for ours: a proof of the whole model names a window that is left, and
//! what is chosen instead stands at that site only.

use super::fit::Functions;
use super::peers::{TOGETHER, Whose};
use runtime::circuit;
use std::collections::{BTreeMap, BTreeSet};

/// What was given up so far.
#[derive(Default)]
pub struct GivenUp {
    /// Sites at which the system's functions fit alone, but not beside those at other sites, and why.
    sites: BTreeMap<String, String>,
    /// Functions of which the tuned plan's entries do not reach either beside the system's.
    wider: BTreeSet<String>,
}

impl GivenUp {
    /// Why a site is ours, if it was given up.
    pub fn reason(&self, site: &str) -> Option<&String> {
        self.sites.get(site)
    }

    /// Whether all of our entries of a function are offered, not only the tuned plan's.
    pub fn needs_all_of_ours(&self, function: &str) -> bool {
        self.wider.contains(function)
    }

    /// Offers all of our entries of these functions, where it was the tuned plan's that do not reach. Whether that is
    /// another attempt.
    pub fn offer_all_of_ours(&mut self, functions: &[&str]) -> bool {
        let new = functions.iter().map(|function| self.wider.insert((*function).to_owned()));
        new.fold(false, |any, new| any | new)
    }

    /// Leaves a site to ours where the system's window does not hold what the other choices make of its argument; where
    /// it is the window of one of ours that does not, offers all of ours. Whether that is another attempt.
    pub fn after(
        &mut self,
        error: &circuit::Error,
        functions: &Functions,
        whose: &mut BTreeMap<String, Whose>,
    ) -> bool {
        let circuit::Error::Window { site, function, low, high, window_low, window_high, scale } = error else {
            return false;
        };
        let name = function.to_string();
        let real = |integer: f64| integer * (-f64::from(scale.bits())).exp2();
        let window = [real(*window_low as f64), real(*window_high as f64)];
        let is_theirs = functions.get(&name).is_some_and(|all| all.iter().any(|own| own.window() == window));
        if !is_theirs {
            return self.offer_all_of_ours(&[&name]);
        }
        let reason = format!(
            "{name} at {site} is proved for {:.6} to {:.6}, needed {:.6} to {:.6}",
            window[0],
            window[1],
            real(*low as f64),
            real(*high as f64)
        );
        if self.sites.insert(site.clone(), reason).is_some() {
            return false;
        }
        let together = TOGETHER.iter().find(|all| all.contains(&name.as_str()));
        for function in together.map_or(vec![name.as_str()], |all| all.to_vec()) {
            whose.insert(function.to_owned(), Whose::Mixed);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::fit;
    use super::*;
    use crate::catalog_folder;
    use catalogs::{Function, Scale};
    use std::path::Path;

    /// CrypTen's functions at our formats, and all of them chosen.
    fn crypten() -> (Functions, BTreeMap<String, Whose>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs/peers/ported/entries");
        let functions = fit::of_system(&catalog_folder::open(&folder).unwrap(), &["crypten-"]).unwrap();
        let whose = ["exp", "reciprocal", "rsqrt", "gelu"].map(|name| (name.to_owned(), Whose::Theirs));
        (functions, BTreeMap::from(whose))
    }

    /// That an argument reaches beyond a window of `bounds`, in real units.
    fn beyond(site: &str, function: Function, bounds: [f64; 2], bits: u8) -> circuit::Error {
        let unit = f64::from(bits).exp2();
        let [window_low, window_high] = bounds.map(|bound| (bound * unit) as i64);
        circuit::Error::Window {
            site: site.into(),
            function,
            low: i128::from(window_low),
            high: i128::from(window_high) + 1,
            window_low,
            window_high,
            scale: Scale::new(bits).unwrap(),
        }
    }

    #[test]
    fn a_site_is_given_up_once_and_with_what_is_evaluated_together() {
        let (functions, mut whose) = crypten();
        let before = whose.clone();
        let mut given_up = GivenUp::default();
        let window = functions["exp"][0].window();
        let error = beyond("softmax", Function::Exp, window, 16);
        assert!(given_up.after(&error, &functions, &mut whose));
        let reason = given_up.reason("softmax").unwrap();
        assert!(reason.contains("exp at softmax") && reason.contains("needed"), "{reason}");
        assert_eq!(given_up.reason("other"), None);
        // exp and reciprocal have one owner at a site; the others' owners stay.
        let mixed: Vec<&str> = whose.iter().filter(|own| *own.1 == Whose::Mixed).map(|own| own.0.as_str()).collect();
        assert_eq!(mixed, ["exp", "reciprocal"]);
        assert!(whose.iter().filter(|own| *own.1 != Whose::Mixed).all(|(name, own)| before[name] == *own));
        // Not again: the attempts end.
        assert!(!given_up.after(&error, &functions, &mut whose));
        // Another site of the function is another attempt.
        assert!(given_up.after(&beyond("second", Function::Exp, window, 16), &functions, &mut whose));
        assert!(!given_up.needs_all_of_ours("exp"));
    }

    #[test]
    fn a_window_of_ours_asks_for_all_of_ours_and_gives_no_site_up() {
        let (functions, mut whose) = crypten();
        let before = whose.clone();
        let mut given_up = GivenUp::default();
        let error = beyond("norm", Function::Rsqrt, [2f64.powi(-20), 1024.0], 24);
        assert!(given_up.after(&error, &functions, &mut whose));
        assert!(given_up.needs_all_of_ours("rsqrt") && !given_up.needs_all_of_ours("exp"));
        assert_eq!((given_up.reason("norm"), &whose), (None, &before));
        assert!(!given_up.after(&error, &functions, &mut whose), "the attempts end");
    }

    #[test]
    fn what_is_no_window_is_not_given_up() {
        let (functions, mut whose) = crypten();
        let before = whose.clone();
        let mut given_up = GivenUp::default();
        let error = circuit::Error::Choice { site: "softmax".into(), reason: "its formats do not fit".into() };
        assert!(!given_up.after(&error, &functions, &mut whose));
        assert_eq!((given_up.reason("softmax"), whose), (None, before));
    }
}
