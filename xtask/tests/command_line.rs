//! The command line of xtask: what it prints, and that an error comes before anything is built or changed.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

/// Runs xtask. A build would print its sizes, and here it could not even start: there is no PATH.
fn xtask(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(words).stdin(Stdio::null()).env("PATH", "/nonexistent").env("CARGO", "/nonexistent/cargo");
    command.output().expect("xtask runs")
}

/// What a command printed that succeeded.
fn printed(words: &[&str]) -> String {
    let output = xtask(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What a command said that failed at once.
fn told(words: &[&str]) -> String {
    let output = xtask(words);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(error.lines().count(), 1, "{error}");
    error.trim_end().to_owned()
}

#[test]
fn help_lists_the_commands_and_each_has_its_own() {
    let help = printed(&["help"]);
    assert_eq!(help, printed(&[]));
    assert_eq!(help, printed(&["--help"]));
    let mut number = 0;
    for line in help.lines().filter_map(|line| line.strip_prefix("  ")) {
        let name = line.split(' ').next().expect("a name");
        if name == "help" || name.starts_with('-') {
            continue;
        }
        let own = printed(&["help", name]);
        assert!(own.starts_with(&format!("Usage: cargo xtask {name}")), "{own}");
        assert_eq!(own, printed(&[name, "--help"]));
        number += 1;
    }
    assert!(number > 10, "{help}");
}

#[test]
fn a_reader_may_leave_before_the_end() {
    for words in [&["help"][..], &["bench", "--help"], &["--version"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = command.args(words).stdin(Stdio::null()).stdout(writer).output().expect("xtask runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}

#[test]
fn bench_tells_its_options() {
    let help = printed(&["bench", "--help"]);
    let program = include_str!("../../tests/bench/bench.py");
    let options: Vec<_> = program
        .lines()
        .filter_map(|line| line.trim().strip_prefix("parser.add_argument(\"")?.split('"').next())
        .collect();
    assert!(!options.is_empty());
    assert!(options.iter().all(|option| help.contains(&format!("  {option}"))), "{options:?}\n{help}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let manifest = include_str!("../../Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = ")).expect("a version");
    assert_eq!(printed(&["--version"]), format!("ftpdlite {}\n", version.trim_matches('"')));
}

#[test]
fn what_there_is_not_is_told() {
    for words in [&["nonsense"][..], &["help", "nonsense"], &["nonsense", "--help"]] {
        assert_eq!(told(words), "xtask: error: there is no command nonsense; cargo xtask help lists them");
    }
}

#[test]
fn what_is_wrong_with_serve_is_told_before_the_build() {
    for (words, start) in [
        (&["--user", "bob:"][..], "--user bob: has no password"),
        (&["--user", "bob"], "--user must be NAME:PASSWORD"),
        (&["--port", "0"], "--port must be a number from 1 to 65535"),
        (&["--port", "70000"], "--port must be a number from 1 to 65535"),
        (&["--host", "192.0.2.7"], "--host 192.0.2.7 is no address of this machine"),
        (&["--root", "/no such folder"], "--root /no such folder: there is no such folder: make it"),
        (&["--root", "/etc/passwd"], "--root /etc/passwd is a file: name a folder"),
        (&["--root", "/", "--fresh"], "--fresh empties the sample folder, and nothing else"),
    ] {
        let words = [&["serve"], words].concat();
        let error = told(&words);
        assert!(error.starts_with(&format!("xtask: error: {start}")), "{words:?}: {error}");
    }
}

#[test]
fn what_is_wrong_with_other_commands_is_told_before_anything_is_fetched_or_built() {
    for (line, error) in [
        ("test --step nonsense", "no step's name contains nonsense"),
        ("test --step nonsense --step more", "no step's name contains nonsense or more"),
        ("test --lanes 0", "--lanes must be 1 to 16"),
        ("build --arch nonsense", "there is no architecture nonsense; there is: x64,"),
        ("bench --runs 0", "--runs must be 1 to 1000"),
        ("bench --runs -1", "--runs must be 1 to 1000"),
        ("bench --heap x", "--heap must be a number of bytes, or one with k or m behind it"),
        ("bench --heap 0k", "--heap must be a number of bytes, or one with k or m behind it"),
        ("bench --check", "--check needs --board before it"),
        ("bench --quick --board", "--board must be the first option"),
        ("bench --board --profile nonsense", "--profile must be some of noop,login,"),
        ("bench --board --check --profile size", "--check and --profile are two commands"),
        ("bench --board --quick", "invalid option '--quick'"),
        ("board --memory 10", "--memory must be 48 to 2048"),
        ("board --memory -1", "--memory must be 48 to 2048"),
        ("board --files disc", "--files must be littlefs, fat or ramdisc"),
        ("board --server none", "--server must be original or ftpdlite"),
        ("board --ipv6 yes", "--ipv6 must be on or off"),
        ("soak --minutes 0", "--minutes must be 0.1 to 10000"),
        ("fuzz --minutes -1", "--minutes must be more than 0 and at most 10000"),
        ("release --soak -1", "--soak must be 0 to 1000 minutes"),
        ("dist --base nonsense", "--base must start with one of http://"),
        ("setup nonsense", "unexpected argument \"nonsense\""),
        ("clean --nonsense", "invalid option '--nonsense'"),
    ] {
        let told = told(&line.split(' ').collect::<Vec<_>>());
        assert!(told.starts_with(&format!("xtask: error: {error}")), "{line}: {told}");
    }
}

#[test]
fn serve_does_not_build_for_a_port_that_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port().to_string();
    let error = told(&["serve", "--port", &port]);
    assert!(error.starts_with(&format!("xtask: error: port {port} of 127.0.0.1 is taken")), "{error}");
}

#[test]
fn serve_says_first_that_there_is_no_c_compiler() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port().to_string();
    drop(listener);
    let error = told(&["serve", "--port", &port, "--tls"]);
    assert_eq!(error, "xtask: error: a C compiler is needed; as root on Debian: apt-get install gcc libc6-dev");
}

/// The lines of the workflows.
fn workflows() -> impl Iterator<Item = &'static str> {
    [include_str!("../../.github/workflows/tests.yml"), include_str!("../../.github/workflows/release.yml")]
        .into_iter()
        .flat_map(str::lines)
        .map(str::trim)
}

#[test]
fn the_workflows_run_commands_that_there_are() {
    let mut number = 0;
    for line in workflows().filter_map(|line| line.strip_prefix("- run: cargo xtask ")) {
        let words: Vec<_> = line.split(' ').collect();
        let help = printed(&["help", words[0]]);
        let options = words.iter().filter(|word| word.starts_with("--"));
        options.for_each(|option| assert!(help.contains(&format!("  {option}")), "{line}\n{help}"));
        number += 1;
    }
    assert_eq!(number, 2);
    let ran = workflows().filter_map(|line| line.strip_prefix("- run: ")).find(|command| command.starts_with(".ci/"));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(ran.expect("the test command"));
    assert!(path.is_file(), "{}", path.display());
}

#[test]
fn the_workflows_use_the_rust_that_the_project_names() {
    let manifest = include_str!("../../Cargo.toml");
    let oldest = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version");
    let tested = include_str!("../../README.md").split_once("The tests use Rust ").expect("a version").1;
    let tested = tested.split(',').next().expect("a version");
    let images: Vec<_> = workflows().filter_map(|line| line.strip_prefix("image: ")).collect();
    let image = |version: &str| format!("rust:{}-bookworm", version.trim_matches('"'));
    assert_eq!(images, [image(tested), image(oldest), image(tested)]);
}
