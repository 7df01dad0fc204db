//! Steps that are small shell programs.

use super::*;

fn shell(script: &str) -> Command {
    let mut command = program("sh");
    command.args(["-c", script]);
    command
}

/// A folder of a test.
fn folder_for(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ftpdlite-lanes-{}-{test}", std::process::id()));
    make_folder(&folder).unwrap();
    folder
}

/// Does steps that are shell programs of those names; gives how each ended, in the order in which they ended.
fn ends(folder: &str, steps: &[Step], lanes: usize) -> (Vec<String>, Result) {
    let folder = folder_for(folder);
    let (sender, news) = mpsc::channel();
    let mut all = Lanes::new(steps);
    let mut order = Vec::new();
    all.first(&news).unwrap();
    loop {
        while let Some(index) = all.next(lanes) {
            all.start(index, &folder, shell(&steps[index].name), &sender).unwrap();
            assert!(all.running.len() <= lanes);
            let users = all.running.keys().filter(|running| steps[**running].uses.is_some());
            assert!(users.count() <= 1);
            assert!(all.running.len() == 1 || all.running.keys().all(|running| !steps[*running].is_alone));
        }
        if all.running.is_empty() {
            break;
        }
        if let News::Ended(index, status) = news.recv().unwrap() {
            all.ended(index, status);
            order.push(format!("{} {}", steps[index].name, all.ends[&index].word()));
        }
    }
    let result = all.summary(Duration::ZERO, lanes);
    fs::remove_dir_all(&folder).unwrap();
    (order, result)
}

/// The first of steps that are shell programs, started; with the news of it, and the folder for what it prints.
fn started<'a>(folder: &str, steps: &'a [Step<'a>]) -> (Lanes<'a>, mpsc::Receiver<News>, PathBuf) {
    let folder = folder_for(folder);
    let (sender, news) = mpsc::channel();
    let mut all = Lanes::new(steps);
    all.start(0, &folder, shell(&steps[0].name), &sender).unwrap();
    (all, news, folder)
}

fn nothing() -> Result {
    Ok(())
}

#[test]
fn a_step_waits_for_those_that_it_needs() {
    let steps = [
        step("true", 1, nothing),
        step("true 2", 1, nothing).after("true"),
        step("true 3", 1, nothing).after("true 2"),
    ];
    let (order, result) = ends("after", &steps, 3);
    assert_eq!(order, ["true ok", "true 2 ok", "true 3 ok"]);
    assert_eq!(result, Ok(()));
}

#[test]
fn the_longest_row_comes_first() {
    let steps = [
        step("true", 5, nothing),
        step("true 2", 1, nothing),
        step("true 3", 9, nothing).after("true 2"),
        step("true 4", 7, nothing),
    ];
    let (order, _) = ends("weights", &steps, 1);
    assert_eq!(order, ["true 2 ok", "true 3 ok", "true 4 ok", "true ok"]);
}

#[test]
fn what_needs_a_failed_step_is_not_run_and_the_rest_is() {
    let steps = [
        step("false", 1, nothing),
        step("true", 1, nothing).after("false"),
        step("true 2", 1, nothing).after("true"),
        step("true 3", 1, nothing),
    ];
    let (order, result) = ends("failed", &steps, 2);
    assert_eq!(order.len(), 2);
    assert!(order.contains(&"false FAILED".into()) && order.contains(&"true 3 ok".into()));
    assert_eq!(result, Err("failed: false".into()));
}

#[test]
fn a_skipped_step_takes_those_that_need_it_along() {
    let steps = [step("echo skipped: for that; exit 77", 1, nothing)];
    let (order, result) = ends("skipped", &steps, 1);
    assert_eq!(order, ["echo skipped: for that; exit 77 skipped"]);
    assert_eq!(result, Ok(()));
    let steps = [
        step("true", 1, nothing).first(|| Ok(Some("there is none".to_owned()))),
        step("true 2", 1, nothing).after("true"),
    ];
    assert_eq!(ends("not had", &steps, 1), (Vec::new(), Ok(())));
}

#[test]
fn what_cannot_be_fetched_for_a_step_fails_it() {
    let steps = [step("true", 1, nothing).first(|| Err::<(), _>("no".into()))];
    assert_eq!(ends("not fetched", &steps, 1), (Vec::new(), Err("failed: true".into())));
}

#[test]
fn what_is_used_is_used_by_one_and_who_wants_to_be_alone_is() {
    // `ends` looks at each start.
    let steps = [
        step("sleep 0.1", 1, nothing).uses("it"),
        step("sleep 0.11", 1, nothing).uses("it"),
        step("sleep 0.12", 9, nothing).alone(),
        step("sleep 0.13", 1, nothing),
    ];
    let (order, _) = ends("uses", &steps, 3);
    assert_eq!(order.len(), 4);
    assert_eq!(order[3], "sleep 0.12 ok");
}

#[test]
fn nothing_that_a_step_has_started_is_left() {
    let folder = std::env::temp_dir().join(format!("ftpdlite-left-{}", std::process::id()));
    let steps = [step(format!("sleep 600 & echo $! >{}", folder.display()), 1, nothing)];
    assert_eq!(ends("left", &steps, 1).1, Ok(()));
    let number: u32 = fs::read_to_string(&folder).unwrap().trim().parse().unwrap();
    fs::remove_file(&folder).unwrap();
    // It has been killed when it is gone, or a zombie that nobody has waited for yet.
    let is_alive = || {
        fs::read_to_string(format!("/proc/{number}/stat"))
            .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|state| state.starts_with(['Z', 'X'])))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_alive() {
        assert!(Instant::now() < deadline, "{number} runs on");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_is_fetched_after_an_interruption() {
    let fetched = std::cell::Cell::new(0);
    let (sender, news) = mpsc::channel();
    let fetch = || {
        fetched.set(fetched.get() + 1);
        sender.send(News::Interrupted).unwrap();
        Err::<(), _>("the program that fetches was interrupted, too".into())
    };
    let steps = [step("true", 1, nothing).first(fetch), step("true 2", 1, nothing).first(fetch)];
    assert_eq!(Lanes::new(&steps).first(&news), Err("interrupted".into()));
    assert_eq!(fetched.get(), 1);
}

#[test]
fn an_interruption_ends_what_runs() {
    let steps = [step("trap 'exit 3' INT; while :; do sleep 0.05; done", 1, nothing)];
    let (mut all, news, folder) = started("interrupted", &steps);
    all.interrupt(&news);
    assert!(all.running.is_empty());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_summary_names_the_failed_cases() {
    let steps = [step("echo 'FAILED test_one'; echo; echo more; false", 1, nothing)];
    let (mut all, news, folder) = started("cases", &steps);
    if let News::Ended(index, status) = news.recv().unwrap() {
        all.ended(index, status);
    }
    assert!(matches!(&all.ends[&0], End::Failed(_, lines) if lines == &["FAILED test_one"]));
    fs::remove_dir_all(&folder).unwrap();
}
