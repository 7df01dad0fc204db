//! The fuzz targets for the core. Each target takes any bytes, plays them, and panics when something is wrong.
//!
//! `fuzz/` gives the targets to libFuzzer. In every test run `tests/fuzzed.rs` plays the seeds, earlier finds, and some noise.

#![allow(dead_code, unused_imports, reason = "the fuzzer and the tests use different parts")]

mod pieces;
mod replies;
mod seeds;
mod session;

pub use seeds::{dictionary, seeds};

/// The files that the session's target serves.
pub const FIXTURE: &str = include_str!("../transcripts/fixture.txt");

/// A target: its name, and the function that plays an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("commands", pieces::commands),
    ("addresses", pieces::addresses),
    ("paths", pieces::paths),
    ("globs", pieces::globs),
    ("listings", pieces::listings),
    ("ascii", pieces::ascii),
    ("session", session::session),
];

/// Plays these bytes to the target of that name.
///
/// # Panics
/// When there is no such target, and when the core does something wrong.
pub fn play(target: &str, bytes: &[u8]) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    run(bytes);
}
