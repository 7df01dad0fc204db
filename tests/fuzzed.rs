//! What the fuzzer does, for a moment: its seeds, what it has found before (`tests/regressions`), and some noise.

mod fuzzing;
mod host;

use proptest::prelude::*;
use std::fs;
use std::path::Path;

#[test]
fn the_seeds_hold() {
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    for (target, run) in fuzzing::TARGETS {
        let seeds = fuzzing::seeds(target, &transcripts);
        assert!(seeds.len() > 40, "{target} has only {} seeds", seeds.len());
        for seed in seeds {
            run(&seed);
            // The same, broken off.
            run(&seed[..seed.len() / 2]);
        }
    }
}

/// Files `TARGET-NAME.txt`: lines of an input with the escapes of the transcripts, one after the other.
#[test]
fn what_was_found_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut played = 0;
    for entry in fs::read_dir(folder).expect("the regressions") {
        let path = entry.expect("a regression").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let Some((target, _)) = name.split_once('-') else { continue };
        let text = fs::read_to_string(&path).expect("a regression");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let input: Vec<u8> = lines.flat_map(host::unescape).collect();
        println!("{name}");
        fuzzing::play(target, &input);
        played += 1;
    }
    assert!(played > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn noise_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, run) in fuzzing::TARGETS {
            run(&bytes);
        }
    }
}
