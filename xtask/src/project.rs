//! Where things are in the project, and how child processes are run and their failures reported.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a command of xtask ends. The text of an error is for the developer.
pub type Result<T = ()> = std::result::Result<T, String>;

/// The project's folders.
pub struct Project {
    /// The folder with Cargo.toml.
    pub root: PathBuf,
    /// Tools that were downloaded or made; git ignores them.
    pub tools: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
}

impl Project {
    /// The project whose checkout this program was built from.
    pub fn find() -> Result<Project> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).parent().ok_or("xtask has no parent folder")?.to_path_buf();
        let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        // Cargo put the program into TARGET/debug.
        let target = program.ancestors().nth(2).ok_or("this program is in no target directory")?.to_path_buf();
        Ok(Project { tools: root.join(".xtask"), root, target })
    }

    /// The virtual environment's Python.
    pub fn python(&self) -> PathBuf {
        self.tools.join("venv/bin/python")
    }

    /// The MicroPython that runs the module here.
    pub fn micropython(&self) -> PathBuf {
        self.tools.join("bin/micropython")
    }

    /// The folder that goes on MICROPYPATH.
    pub fn dist(&self, architecture: &str) -> PathBuf {
        self.root.join(format!("dist/{architecture}_6.3"))
    }

    /// Makes sure that make can build here: it takes a blank in a path for the end of the path. An error says so.
    pub fn can_make(&self) -> Result {
        match self.root.to_string_lossy() {
            path if path.contains(char::is_whitespace) => {
                Err(format!("make builds nothing in a folder with blanks in its path: move the checkout out of {path}"))
            }
            _ => Ok(()),
        }
    }

    /// The version in Cargo.toml.
    pub fn version(&self) -> Result<String> {
        let content = String::from_utf8(read(&self.root.join("Cargo.toml"))?).map_err(|_| "Cargo.toml is not text")?;
        let manifest: toml::Table = content.parse().map_err(|error| format!("Cargo.toml: {error}"))?;
        let version = manifest.get("package").and_then(|package| package.get("version")).and_then(toml::Value::as_str);
        version.map(str::to_owned).ok_or_else(|| "Cargo.toml tells no version".into())
    }

    /// The folder of `libclang.so`, when `setup` brought one.
    pub fn libclang(&self) -> Option<PathBuf> {
        let libraries = fs::read_dir(self.tools.join("venv/lib")).ok()?;
        let found = libraries.flatten().map(|python| python.path().join("site-packages/clang/native"));
        found.into_iter().find(|folder| folder.join("libclang.so").is_file())
    }

    /// The cargo that runs us, at the root, with what build.rs needs.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        // These variables tell `cargo xtask` about its own package. The build of another package must not see them.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                command.env_remove(name);
            }
        }
        if let (None, Some(folder)) = (env::var_os("LIBCLANG_PATH"), self.libclang()) {
            command.env("LIBCLANG_PATH", folder);
        }
        command
    }
}

/// Tells the developer what happens, on stderr. Standard output is for results.
pub fn say(text: impl AsRef<str>) {
    eprintln!("xtask: {}", text.as_ref());
}

/// A program of this machine that reads nothing from the terminal.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null());
    command
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Runs a command; its output goes to the terminal.
pub fn run(command: &mut Command) -> Result {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("failed ({status}): {}", describe(command))),
        Err(error) => Err(format!("cannot run {}: {error}", describe(command))),
    }
}

/// Runs a command whose output only matters when it fails.
pub fn run_quietly(command: &mut Command) -> Result {
    output(command).map(drop)
}

/// Runs a command; what it wrote to standard output.
pub fn output(command: &mut Command) -> Result<String> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            Err(format!("failed ({}): {}\n{}{}", output.status, describe(command), out, error).trim_end().to_owned())
        }
        Err(error) => Err(format!("cannot run {}: {error}", describe(command))),
    }
}

/// What rustc calls this machine.
pub fn host_triple() -> Result<String> {
    let about = output(program("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc -vV names no host")?;
    Ok(host.to_owned())
}

/// The path of a program, if it is in a folder of PATH.
pub fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Makes a folder and those above it.
pub fn make_folder(path: &Path) -> Result {
    fs::create_dir_all(path).map_err(|error| format!("cannot make {}: {error}", path.display()))
}

/// Writes a file, unless it has this content already. So the file's time says when the content has changed.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result {
    if fs::read(path).is_ok_and(|former| former == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    fs::write(path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A path as one word of a shell script.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// Writes a program of a script.
pub fn write_executable(path: &Path, script: &str) -> Result {
    write_if_changed(path, script.as_bytes())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("cannot mark {}: {error}", path.display()))
}

/// A number as people read it.
pub fn with_thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_blanks_is_nothing_for_make() {
        let project = |root: &str| Project { root: root.into(), tools: PathBuf::new(), target: PathBuf::new() };
        assert_eq!(project("/home/Käthe/ftpdlite").can_make(), Ok(()));
        let told = project("/home/my files/ftpdlite").can_make().expect_err("a blank");
        assert!(told.ends_with("move the checkout out of /home/my files/ftpdlite"), "{told}");
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(with_thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
