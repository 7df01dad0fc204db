//! The targets of `tests/fuzzing` as a program of libFuzzer. `cargo xtask fuzz` runs it, with the target's name in `FTPDLITE_FUZZ`; with a
//! folder in `FTPDLITE_SEEDS` as well it writes the target's seeds and the dictionary there first.
#![no_main]

#[path = "../tests/fuzzing/mod.rs"]
mod fuzzing;
#[path = "../tests/host/mod.rs"]
mod host;

use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs};

const TRANSCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/transcripts");
static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

/// Finds the target, and writes its seeds where they are wanted.
fn begin() {
    let name = env::var("FTPDLITE_FUZZ").unwrap_or_default();
    let found = fuzzing::TARGETS.iter().find(|(target, _)| *target == name);
    let Some((_, run)) = found else {
        let names: Vec<_> = fuzzing::TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("FTPDLITE_FUZZ must be one of {}", names.join(", "));
        std::process::exit(2);
    };
    TARGET.set(*run).expect("begins once");
    if let Some(folder) = env::var_os("FTPDLITE_SEEDS").map(PathBuf::from) {
        fs::create_dir_all(folder.join("seeds")).expect("a folder for the seeds");
        fs::write(folder.join("dictionary"), fuzzing::dictionary()).expect("the dictionary");
        for (number, seed) in fuzzing::seeds(&name, Path::new(TRANSCRIPTS)).iter().enumerate() {
            fs::write(folder.join("seeds").join(format!("{number:04}")), seed).expect("a seed");
        }
    }
}

fuzz_target!(init: begin(), |data: &[u8]| {
    TARGET.get().expect("begun")(data);
});
