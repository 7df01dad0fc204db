//! What a failed step says about its failures, in a few lines for the summary: whoever reads the end of a log must see which case failed.

/// How many lines of a step are shown, and how much of each.
const LINES: usize = 10;
const LENGTH: usize = 200;
/// So many of the last lines are shown when no line names a case.
const LAST: usize = 4;

/// The lines that name a case: pytest begins them with one of two words, our own programs have FAILED in them, and cargo has a title above what the test printed.
fn names_a_case(line: &str) -> bool {
    let words = || line.split(|letter: char| !letter.is_alphanumeric());
    line.starts_with("ERROR ")
        || words().any(|word| word == "FAILED")
        || (line.starts_with("---- ") && line.ends_with(" stdout ----"))
}

/// The failed cases by what the step has printed; the last lines where it names none.
pub fn failures(printed: &str) -> Vec<String> {
    let lines: Vec<&str> = printed.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let mut named: Vec<&str> = lines.iter().copied().filter(|line| names_a_case(line)).collect();
    let more = named.len().saturating_sub(LINES);
    named.truncate(LINES);
    if named.is_empty() {
        named = lines[lines.len().saturating_sub(LAST)..].to_vec();
    }
    let mut shown: Vec<String> = named.iter().map(|line| line.trim_start().chars().take(LENGTH).collect()).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_program_names_its_failed_cases() {
        let pytest = "....F\n>       assert 1 == 2\nFAILED test_busy.py::test_hash[fat] - AssertionError\nERROR test_busy.py::test_hash[fat] - OSError\n1 failed, 1 error in 2 s\n";
        assert_eq!(
            failures(pytest),
            ["FAILED test_busy.py::test_hash[fat] - AssertionError", "ERROR test_busy.py::test_hash[fat] - OSError"]
        );
        let board = "fat    a_case    1.0 s  ok\nfresh  golden_transcripts    13.9 s  FAILED at line 836: AssertionError\n    board: INFO\n1 passed, 1 failed\n";
        assert_eq!(failures(board), ["fresh  golden_transcripts    13.9 s  FAILED at line 836: AssertionError"]);
        let cargo = "running 1 test\n\nfailures:\n\n---- lanes::tests::a_step stdout ----\nthread panicked\n\n\nfailures:\n    lanes::tests::a_step\n";
        assert_eq!(failures(cargo), ["---- lanes::tests::a_step stdout ----"]);
    }

    #[test]
    fn where_no_case_is_named_the_last_lines_are_shown() {
        assert_eq!(failures("1\n2\n\n3\n4\n5\n  xtask: error: no\n"), ["3", "4", "5", "xtask: error: no"]);
        assert_eq!(failures(""), Vec::<String>::new());
    }

    #[test]
    fn many_cases_and_long_lines_are_cut() {
        let many = failures(&"FAILED a case\n".repeat(13));
        assert_eq!((many.len(), many[10].as_str()), (11, "and 3 more"));
        assert_eq!(failures(&format!("FAILED {}", "ä".repeat(500)))[0].chars().count(), LENGTH);
    }
}
