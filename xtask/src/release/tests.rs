use super::*;
use crate::project::which;
use std::fs;

#[test]
fn notes_are_those_of_the_version() {
    let log = "# Changelog\n\n## 0.10.0\n\n- New.\n\n## 0.1.0 (unreleased)\n\n- First.\n";
    assert_eq!(section(log, "0.10.0").as_deref(), Some("## 0.10.0\n\n- New.\n"));
    assert_eq!(section(log, "0.1.0").as_deref(), Some("## 0.1.0 (unreleased)\n\n- First.\n"));
    assert_eq!(section(log, "0.1"), None);
}

#[test]
fn the_digest_is_of_every_source() {
    let project = Project::find().expect("the checkout");
    let mut files = Vec::new();
    for name in SOURCES {
        assert!(project.root.join(name).exists(), "{name}");
        files_below(&project.root, name, &mut files).expect("it can be listed");
    }
    for file in ["src/lib.rs", "py/ftpdlite/choice.py", "py/whole.py", "micropython/glue.c", "xtask/src/mpy/write.rs"] {
        assert!(files.iter().any(|found| found == file), "{file}");
    }
    assert_eq!(digest(&project).expect("a digest").len(), 64);
}

/// A project in a folder of its own, with a file for each source and a release of one file.
fn released(name: &str) -> Project {
    let target = Project::find().expect("the checkout").target;
    let root = target.join("tmp").join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    let project = Project { target: root.join("target"), tools: root.join(".xtask"), root };
    for name in SOURCES {
        let is_file = name.contains('.') || *name == "LICENSE";
        change(&project, &if is_file { (*name).to_owned() } else { format!("{name}/file") }, name);
    }
    change(&project, "Cargo.toml", "[package]\nversion = \"1.2.3\"\n");
    change(&project, "CHANGELOG.md", "# Changelog\n\n## 1.2.3\n\n- New.\n");
    change(&project, "mip/x64_6.3/a.mpy", "a");
    change(&project, "mip/package.json", "{\"urls\": [[\"a.mpy\", \"x64_6.3/a.mpy\"]]}\n");
    change(&project, "package.json", "{\"urls\": [[\"a.mpy\", \"mip/x64_6.3/a.mpy\"]]}\n");
    let mut stamp = Stamp { version: "1.2.3".into(), ..Stamp::default() };
    stamp.sources = digest(&project).expect("a digest");
    stamp.files = checksums(&project.root.join(FOLDER)).expect("checksums");
    change(&project, "mip/STAMP.toml", &stamp.toml());
    project
}

fn change(project: &Project, path: &str, content: &str) {
    write_if_changed(&project.root.join(path), content.as_bytes()).expect("it can be written");
}

/// What the check says after a change.
fn told_after(path: &str, content: &str) -> String {
    let project = released("check");
    check_files(&project).expect("a release that is whole");
    change(&project, path, content);
    let error = check_files(&project).map(|_| ()).expect_err(path);
    fs::remove_dir_all(&project.root).expect("it can be removed");
    error
}

#[test]
fn the_check_fails_when_anything_is_other_than_the_stamp_says() {
    for source in ["src/file", "py/new.py", "Cargo.lock", "xtask/src/linker.rs"] {
        assert!(told_after(source, "other").starts_with("the sources are newer than mip, which is of 1.2.3"));
    }
    for file in ["mip/x64_6.3/a.mpy", "mip/x64_6.3/b.mpy"] {
        let told = told_after(file, "other");
        assert!(told.starts_with("mip is not what its STAMP.toml says") && told.ends_with(&file[4..]), "{told}");
    }
    assert_eq!(told_after("package.json", "{}"), "package.json is not that of mip: run cargo xtask release");
    assert!(told_after("mip/STAMP.toml", "x = 1").contains("is not what cargo xtask release writes"));
}

#[test]
fn a_test_run_warns_of_an_old_release() {
    let project = released("warning");
    assert_eq!(warning(&project), None);
    change(&project, "src/file", "other");
    let warned = warning(&project).expect("a warning");
    assert!(warned.starts_with("warning: the sources are newer than mip, which is of 1.2.3;"), "{warned}");
    fs::remove_dir_all(project.root.join(FOLDER)).expect("it can be removed");
    assert!(warning(&project).expect("a warning").starts_with("warning: there is no mip"));
    fs::remove_dir_all(&project.root).expect("it can be removed");
}

#[test]
fn a_tag_fits_the_version_and_the_changelog() {
    let project = released("tag");
    assert_eq!(check_tag(&project, "v1.2.3"), Ok(()));
    assert!(check_tag(&project, "1.2.3").is_err_and(|told| told.contains("must be v1.2.3")));
    change(&project, "CHANGELOG.md", "# Changelog\n\n## 1.2.3 (unreleased)\n");
    assert!(check_tag(&project, "v1.2.3").is_err_and(|told| told.contains("still says ## 1.2.3 (unreleased)")));
    change(&project, "CHANGELOG.md", "# Changelog\n\n## 1.2.2\n");
    assert!(check_tag(&project, "v1.2.3").is_err_and(|told| told.contains("no heading ## 1.2.3")));
    fs::remove_dir_all(&project.root).expect("it can be removed");
}

#[test]
fn the_archives_are_whole_and_always_the_same() {
    let project = released("archives");
    for target in TARGETS {
        change(&project, &format!("mip/{}_6.3/a.mpy", target.name), "a");
    }
    let made = ["first", "second"].map(|name| {
        let folder = project.root.join(name);
        archives(&project, &folder).expect("archives");
        (read(&folder.join(CHECKSUMS)).expect("checksums"), read(&folder.join("NOTES.md")).expect("notes"))
    });
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0].1, b"- New.\n");
    let archive = project.root.join("first/ftpdlite-1.2.3-x64_6.3.tar.gz");
    let names = output(program("tar").arg("-tzf").arg(archive)).expect("tar reads it");
    assert_eq!(names, "x64_6.3/\nx64_6.3/a.mpy\n");
    assert_eq!(String::from_utf8_lossy(&made[0].0).lines().count(), TARGETS.len() + 1);
    fs::remove_dir_all(&project.root).expect("it can be removed");
}

#[test]
fn a_release_is_made_of_what_is_committed() {
    if which("git").is_none() {
        return;
    }
    let project = released("clean");
    let git = |words: &[&str]| {
        let mut git = program("git");
        // The user's settings may want a signature.
        git.current_dir(&project.root).args(["-c", "commit.gpgsign=false"]).args(words);
        run_quietly(&mut git)
    };
    git(&["init", "-q"]).expect("git init");
    git(&["add", "."]).expect("git add");
    let commit =
        ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "core.hooksPath=/dev/null", "commit", "-qm", "a"];
    git(&commit).expect("git commit");
    // What the release writes itself is none of its sources.
    change(&project, "mip/x64_6.3/a.mpy", "other");
    change(&project, "package.json", "other");
    change(&project, "mip/new", "new");
    assert_eq!(is_clean(&project), Ok(()));
    change(&project, "src/new", "new");
    assert!(is_clean(&project).is_err_and(|told| told.ends_with("?? src/new")));
    fs::remove_file(project.root.join("src/new")).expect("it can be removed");
    change(&project, "src/file", "other");
    assert!(is_clean(&project).is_err_and(|told| told.ends_with(" M src/file")));
    fs::remove_dir_all(&project.root).expect("it can be removed");
}
