//! `cargo xtask check-abi`: compares `micropython/abi.h` with MicroPython's own headers.
//!
//! Both are compiled in the same way into an array of numbers (offsets, sizes, constants), which is read out of the object file, so nothing
//! has to run and 32 bits are checked on a 64-bit machine. The types of the table's functions are compared by the compiler.

use crate::debian::{Apt, may_fetch, source_line};
use crate::project::{Project, Result, make_folder, program, read, run_quietly, say, write_if_changed};
use crate::setup;
use object::{Object, ObjectSection};
use std::fs;
use std::path::{Path, PathBuf};

/// The Debian suites whose MicroPython is compared, the oldest first.
const SUITES: &[&str] = &["trixie", "sid"];

/// Structures of which abi.h has only the beginning.
const PARTIAL: &[&str] = &["nlr_buf_t", "mp_obj_fun_bc_t"];
/// Structures whose members' types are compared too: those with functions that the module calls.
const TYPED: &[&str] = &["mp_fun_table_t", "mp_stream_p_t"];
/// Plain types.
const SCALARS: &[&str] = &["mp_int_t", "mp_uint_t", "mp_obj_t", "mp_const_obj_t", "qstr", "qstr_short_t"];

/// What MicroPython's headers need: the word types, and that the firmware loads `.mpy` files.
const CONFIG: &str = "#include <stdint.h>
#define MICROPY_PERSISTENT_CODE_LOAD (1)
typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef intptr_t mp_off_t;
";
const REAL_HEADERS: &str = "#include \"py/nativeglue.h\"
#include \"py/bc.h\"
#include \"py/objfun.h\"
#include \"py/persistentcode.h\"
#include \"py/stream.h\"
";

/// The word sizes: the compiler's flags for each.
const WIDTHS: &[(&str, &[&str])] = &[("64 bits", &["-m64"]), ("32 bits", &["-m32"])];

/// A structure of abi.h.
struct Structure<'a> {
    name: &'a str,
    /// The text between the braces.
    body: &'a str,
    fields: Vec<Field<'a>>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Field<'a> {
    Plain(&'a str),
    /// An array without a length, which has an offset and no size.
    Open(&'a str),
}

/// Fetches the headers that are available. An error says why there are none.
pub fn fetch(project: &Project) -> Result {
    let (sources, errors): (Vec<_>, Vec<_>) =
        SUITES.iter().map(|suite| source(project, suite)).partition(|source| source.is_ok());
    if sources.is_empty() {
        errors.into_iter().next().unwrap_or(Err("there are no suites".into())).map(drop)
    } else {
        Ok(())
    }
}

/// The command.
pub fn check(project: &Project) -> Result {
    setup::python(project)?;
    let header = String::from_utf8(read(&project.root.join("micropython/abi.h"))?).map_err(|_| "abi.h is not text")?;
    let folder = project.tools.join("abi");
    let mut compared = 0;
    let mut reasons = Vec::new();
    for suite in SUITES {
        match source(project, suite) {
            Ok(source) => {
                compare(&header, &source, &folder).map_err(|error| format!("{}: {error}", source.display()))?;
                if compared == 0 {
                    notices_mistakes(&header, &source, &folder)?;
                }
                compared += 1;
                let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
                println!("abi.h agrees with {name} ({suite})");
            }
            Err(error) => {
                say(format!("leaves out {suite}, because its sources are not available: {error}"));
                reasons.push(error);
            }
        }
    }
    if compared > 0 { Ok(()) } else { Err(reasons.join("\n")) }
}

/// A Debian source package, and a file in it by which its folder is known.
struct SourcePackage {
    name: &'static str,
    has: &'static str,
}

const MICROPYTHON: SourcePackage = SourcePackage { name: "micropython", has: "py/nativeglue.h" };
const LWIP: SourcePackage = SourcePackage { name: "lwip", has: "src/include/lwip/opt.h" };
const MBEDTLS: SourcePackage = SourcePackage { name: "mbedtls", has: "library/ssl_tls12_server.c" };

/// What `fetch` gives for the first Debian suite for which it gives something.
///
/// # Errors
/// With what went wrong with each of them.
pub fn first_suite(suites: &[&str], fetch: impl Fn(&str) -> Result<PathBuf>) -> Result<PathBuf> {
    let mut reasons = Vec::new();
    for suite in suites {
        match fetch(suite) {
            Ok(source) => return Ok(source),
            Err(error) => reasons.push(format!("{suite}: {error}")),
        }
    }
    Err(reasons.join("\n"))
}

/// The folder with the sources of a suite's MicroPython.
pub fn source(project: &Project, suite: &str) -> Result<PathBuf> {
    MICROPYTHON.fetch(project, suite, &project.tools.join("abi").join(suite))
}

/// The folder with the sources of a suite's lwIP.
pub fn lwip_source(project: &Project, suite: &str) -> Result<PathBuf> {
    LWIP.fetch(project, suite, &project.tools.join("lwip").join(suite))
}

/// The folder with the sources of a suite's Mbed TLS, of version 3 as MicroPython has it.
pub fn mbedtls_source(project: &Project, suite: &str) -> Result<PathBuf> {
    MBEDTLS.fetch(project, suite, &project.tools.join("mbedtls").join(suite))
}

impl SourcePackage {
    /// The unpacked sources of a suite's package.
    fn fetch(&self, project: &Project, suite: &str, folder: &Path) -> Result<PathBuf> {
        let SourcePackage { name, has } = self;
        let unpacked = || -> Option<PathBuf> {
            let list = fs::read_dir(folder.join("unpacked")).ok()?;
            list.flatten().map(|entry| entry.path()).find(|path| path.join(has).is_file())
        };
        let stamp = folder.join("complete");
        if let (true, Some(source)) = (stamp.exists(), unpacked()) {
            return Ok(source);
        }
        if !may_fetch() {
            return Err(format!("the source package {name} could not be fetched"));
        }
        say(format!("fetches the source package {name} from Debian {suite}"));
        let apt = Apt::with_sources(&folder.join("apt"), &source_line("deb-src", suite)?)?;
        apt.update()?;
        let files = folder.join("files");
        apt.source(name, &files)?;
        let list = fs::read_dir(&files).map_err(|error| format!("cannot list {}: {error}", files.display()))?;
        let is_archive =
            |path: &PathBuf| path.to_string_lossy().contains(".orig.tar.") && path.extension() != Some("asc".as_ref());
        let archive = list.flatten().map(|entry| entry.path()).find(is_archive);
        let archive = archive.ok_or("the source package holds no .orig.tar")?;
        make_folder(&folder.join("unpacked"))?;
        run_quietly(program(project.python()).args(["-m", "tarfile", "-e"]).arg(archive).arg(folder.join("unpacked")))?;
        let source = unpacked().ok_or_else(|| format!("the source package holds no {has}"))?;
        write_if_changed(&stamp, b"")?;
        Ok(source)
    }
}

/// Fails with every difference between our header and the real ones.
fn compare(header: &str, source: &Path, folder: &Path) -> Result {
    let structures = structures(header)?;
    let (names, expressions) = questions(header, &structures);
    let work = folder.join("work");
    write_if_changed(&work.join("abi.h"), header.as_bytes())?;
    write_if_changed(&work.join("config.h"), CONFIG.as_bytes())?;
    // glibc's headers ask for this file, which says what a 32-bit libc lacks, when they see a 32-bit compiler.
    write_if_changed(&work.join("gnu/stubs-32.h"), b"")?;
    let question = format!(
        "const unsigned long long answers[] __attribute__((used, section(\".answers\"))) = {{\n{expressions}}};\n"
    );
    let ours = format!("#include \"abi.h\"\n{question}");
    let real = format!("{REAL_HEADERS}{question}{}", same_types(&structures));
    let mut differences = Vec::new();
    for (width, flags) in WIDTHS {
        let ours = answers(&ours, flags, source, &work)?;
        let real = answers(&real, flags, source, &work)?;
        if ours.len() != names.len() || real.len() != names.len() {
            return Err(format!("{} questions, but {} and {} answers", names.len(), ours.len(), real.len()));
        }
        for ((name, ours), real) in names.iter().zip(ours).zip(real).filter(|((_, ours), real)| ours != real) {
            differences.push(format!("{name} is {ours} in abi.h and {real} in MicroPython ({width})"));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
}

/// Mistakes in abi.h that the comparison must find: the right text, the wrong text, and what the message must name.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "    void (*nlr_pop)(void);\n    void (*raise)(mp_obj_t obj);\n",
        "    void (*raise)(mp_obj_t obj);\n    void (*nlr_pop)(void);\n",
        "nlr_pop",
    ),
    ("(*load_attr)(mp_obj_t base, qstr name)", "(*load_attr)(qstr name, mp_obj_t base)", "load_attr"),
    ("#define MPY_SUB_VERSION 3", "#define MPY_SUB_VERSION 2", "MPY_SUB_VERSION"),
];

/// Proves that a wrong order, signature and number would be found.
fn notices_mistakes(header: &str, source: &Path, folder: &Path) -> Result {
    for (right, wrong, name) in MISTAKES {
        let mistaken = header.replacen(right, wrong, 1);
        if mistaken == header {
            return Err(format!("abi.h no longer holds what the check of the check changes:\n{right}"));
        }
        match compare(&mistaken, source, folder) {
            Err(error) if error.contains(name) => {}
            other => return Err(format!("a mistake about {name} in abi.h was not noticed: {other:?}")),
        }
    }
    Ok(())
}

/// Compiles a source; the numbers of its array.
fn answers(code: &str, flags: &[&str], source: &Path, work: &Path) -> Result<Vec<u64>> {
    let (probe, object) = (work.join("probe.c"), work.join("probe.o"));
    write_if_changed(&probe, code.as_bytes())?;
    let mut compiler = program("cc");
    compiler.current_dir(work).args(["-std=gnu11", "-c", "-O0", "-Werror=incompatible-pointer-types"]).args(flags);
    compiler.args(["-DNDEBUG", "-DNO_QSTR", "-DMICROPY_ENABLE_DYNRUNTIME", "-DMP_CONFIGFILE=\"config.h\""]);
    compiler.arg("-I").arg(".").arg("-I").arg(source).arg("-idirafter").arg("/usr/include/x86_64-linux-gnu");
    compiler.arg(&probe).arg("-o").arg(&object);
    run_quietly(&mut compiler)?;
    let data = read(&object)?;
    let file = object::File::parse(&*data).map_err(|error| error.to_string())?;
    let section = file.section_by_name(".answers").ok_or("the probe has no answers")?;
    let bytes = section.data().map_err(|error| error.to_string())?;
    Ok(bytes.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok().map(u64::from_le_bytes)).collect())
}

/// What is asked of both: a name, and a line with the C expression for each.
fn questions(header: &str, structures: &[Structure]) -> (Vec<String>, String) {
    let (mut names, mut expressions) = (Vec::new(), String::new());
    let mut ask = |name: String, expression: String| {
        names.push(name);
        expressions += &format!("    (unsigned long long)({expression}),\n");
    };
    for name in SCALARS {
        ask(format!("sizeof({name})"), format!("sizeof({name})"));
    }
    for Structure { name, fields, .. } in structures {
        if !PARTIAL.contains(name) {
            ask(format!("sizeof({name})"), format!("sizeof({name})"));
        }
        for field in fields {
            let (Field::Plain(field_name) | Field::Open(field_name)) = *field;
            ask(format!("the offset of {name}.{field_name}"), format!("__builtin_offsetof({name}, {field_name})"));
            if let Field::Plain(field) = field {
                ask(format!("the size of {name}.{field}"), format!("sizeof((({name} *)0)->{field})"));
            }
        }
    }
    for name in constants(header) {
        ask(name.into(), name.into());
    }
    (names, expressions)
}

/// The constants that a header defines; a macro without a value is none.
fn constants(header: &str) -> impl Iterator<Item = &str> {
    header.lines().filter_map(|line| {
        let mut words = line.strip_prefix("#define ")?.split_whitespace();
        let name = words.next()?;
        words.next().map(|_| name)
    })
}

/// The structures that a header declares: from `struct _NAME {` to a line that starts with a brace.
fn structures(header: &str) -> Result<Vec<Structure<'_>>> {
    let mut structures = Vec::new();
    let mut rest = header;
    while let Some(start) = rest.find("struct _") {
        rest = &rest[start + "struct _".len()..];
        let line_end = rest.find('\n').unwrap_or(rest.len());
        // Otherwise it is a use of the type.
        let Some(name) = rest[..line_end].strip_suffix(" {") else { continue };
        let end = rest.find("\n}").ok_or_else(|| format!("{name} has no end"))?;
        let body = &rest[line_end + 1..end];
        let fields = body.lines().filter_map(field).collect();
        structures.push(Structure { name, body, fields });
        rest = &rest[end..];
    }
    if TYPED.iter().all(|wanted| structures.iter().any(|structure| structure.name == *wanted)) {
        Ok(structures)
    } else {
        Err(format!("abi.h does not hold all of {}", TYPED.join(", ")))
    }
}

/// The name of the field that a line declares; bit fields have no address and are left out.
fn field(line: &str) -> Option<Field<'_>> {
    let declaration = line.trim().strip_suffix(';')?;
    if declaration.starts_with("//") || declaration.contains(" : ") {
        return None;
    }
    if let Some((_, rest)) = declaration.split_once("(*") {
        return rest.split_once(')').map(|(name, _)| Field::Plain(name));
    }
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let (declaration, brackets) = declaration.split_at(declaration.find('[').unwrap_or(declaration.len()));
    let name = declaration.rsplit(|letter| !is_name(letter)).next().filter(|name| !name.is_empty())?;
    Some(if brackets == "[]" { Field::Open(name) } else { Field::Plain(name) })
}

/// C code in which the compiler finds our members, with MicroPython's types, not assignable to MicroPython's where they differ.
/// A placeholder (`void *`) fits everything.
fn same_types(structures: &[Structure]) -> String {
    let mut code = String::new();
    for Structure { name, body, fields } in structures.iter().filter(|structure| TYPED.contains(&structure.name)) {
        code += &format!(
            "struct our_{name} {{\n{body}\n}};\nvoid compare_{name}({name} *real, struct our_{name} *ours) {{\n"
        );
        for field in fields {
            if let Field::Plain(field) = field {
                code += &format!("    real->{field} = ours->{field};\n");
            }
        }
        code += "}\n";
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_are_found() {
        assert_eq!(field("    mp_obj_t buf[3];"), Some(Field::Plain("buf")));
        assert_eq!(field("    const void *slots[];"), Some(Field::Open("slots")));
        assert_eq!(
            field("    mp_obj_dict_t *(*swap_globals)(mp_obj_dict_t *globals);"),
            Some(Field::Plain("swap_globals"))
        );
        assert_eq!(field("    mp_uint_t is_text : 1;"), None);
        assert_eq!(field("    // words;"), None);
    }

    #[test]
    fn constants_are_found() {
        let header = "#define GUARD_H\n#define A 1\n#define B 0x10 // words\n";
        assert_eq!(constants(header).collect::<Vec<_>>(), ["A", "B"]);
    }
}
