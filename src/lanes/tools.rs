//! The tools behind each kind of evidence, with their versions.

/// The checker.
pub fn checker() -> String {
    format!("verify {}, integers of dashu", env!("CARGO_PKG_VERSION"))
}

/// What executes the protocol.
pub fn runtime() -> String {
    format!("runtime {}, rss3", env!("CARGO_PKG_VERSION"))
}

/// What encloses functions for exhaustion.
#[cfg(feature = "generate")]
pub fn mpfr() -> String {
    evidence::versions::mpfr()
}

/// What proves lemmas.
#[cfg(feature = "generate")]
pub fn z3() -> String {
    evidence::versions::z3()
}

/// What encloses functions for exhaustion.
#[cfg(not(feature = "generate"))]
pub fn mpfr() -> String {
    "built without MPFR".to_owned()
}

/// What proves lemmas.
#[cfg(not(feature = "generate"))]
pub fn z3() -> String {
    "built without Z3".to_owned()
}

/// What runs the second checker; asked once.
pub fn python() -> String {
    static VERSION: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    VERSION
        .get_or_init(|| {
            let asked = std::process::Command::new("python3").arg("--version").output();
            let said = asked.ok().and_then(|output| String::from_utf8(output.stdout).ok());
            said.map_or("no python3".to_owned(), |text| text.trim().to_owned())
        })
        .clone()
}
