//! The foreign tools that this crate calls, with their versions.

use gmp_mpfr_sys::{gmp, mpfr};

/// MPFR and GMP.
pub fn mpfr() -> String {
    format!(
        "MPFR {}.{}.{}, GMP {}.{}.{}",
        mpfr::VERSION_MAJOR,
        mpfr::VERSION_MINOR,
        mpfr::VERSION_PATCHLEVEL,
        gmp::VERSION,
        gmp::VERSION_MINOR,
        gmp::VERSION_PATCHLEVEL
    )
}

/// Z3.
pub fn z3() -> String {
    let version = z3::full_version();
    format!("Z3 {}", version.strip_prefix("Z3 ").unwrap_or(version))
}

#[cfg(test)]
mod tests {
    #[test]
    fn tools_have_names_and_numbers() {
        assert!(super::mpfr().starts_with("MPFR 4.") && super::mpfr().contains("GMP 6."), "{}", super::mpfr());
        assert!(super::z3().starts_with("Z3 4.") || super::z3().starts_with("Z3 5."), "{}", super::z3());
    }
}
