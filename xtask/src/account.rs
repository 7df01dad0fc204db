//! Where the bytes go: the text of a module by its symbols, and the heap by what is loaded and made. For docs/sizes.md.

use crate::project::{Project, Result, output, program, read, with_thousands};
use crate::targets::Target;
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::BTreeMap;
use std::path::Path;

/// How many symbols are told one by one.
const LARGEST: usize = 25;

/// The text of the module that was linked last for a target, in bytes by part, and its largest symbols.
pub fn text(project: &Project, target: &Target) -> Result<String> {
    let path = project.target.join(target.triple).join(format!("module/native_{}.elf", target.name));
    let symbols = symbols(&read(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut parts = BTreeMap::new();
    for (name, size) in &symbols {
        *parts.entry(part(name)).or_insert(0) += size;
    }
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), name.clone()));
    let mut table = String::from("\n| part of the source | text |\n| --- | ---: |\n");
    for (name, size) in parts {
        table += &format!("| {name} | {} |\n", with_thousands(size));
    }
    table += "\n| largest symbols | bytes |\n| --- | ---: |\n";
    for (name, size) in symbols.iter().take(LARGEST) {
        table += &format!("| `{}` | {} |\n", shortened(name), with_thousands(*size));
    }
    Ok(table)
}

/// The names and sizes of what is in the text, the largest first. What has no name belongs to no symbol: constants that the compiler has put beside others.
fn symbols(elf: &[u8]) -> std::result::Result<Vec<(String, usize)>, String> {
    let file = object::File::parse(elf).map_err(|error| error.to_string())?;
    let text = file.section_by_name(".text").ok_or("there is no .text")?;
    let mut found = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.size() > 0 && symbol.is_definition()) {
        // Without the compiler's numbers of crates.
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or("?")));
        // The names and the tables are in sections of their own.
        if symbol.section_index() == Some(text.index()) {
            // Functions that are the same have one address and several names.
            found.entry(symbol.address() & !1).or_insert((name, symbol.size() as usize));
        }
    }
    let mut all: Vec<_> = found.into_values().collect();
    let rest = text.size() as usize - all.iter().map(|(_, size)| size).sum::<usize>();
    all.push(("constants without a name, and what fills words".into(), rest));
    all.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), name.clone()));
    Ok(all)
}

/// The part of the source that a symbol comes from: our module, two names deep, or what is not ours.
fn part(symbol: &str) -> String {
    let Some((_, path)) = symbol.split_once("ftpdlite::") else {
        let is_ours = ["mpy_init", "ftpdlite_try"].contains(&symbol);
        let crates = ["nom", "heapless", "core"];
        let known = crates.iter().find(|name| symbol.contains(&format!("{name}::")));
        return match known {
            _ if symbol.starts_with("constants ") => "constants without a name".into(),
            _ if is_ours => "`native`".into(),
            Some(name) => format!("`{name}`"),
            None => "`core`, the compiler's functions".into(),
        };
    };
    // A module's name begins with a small letter and has a path behind it.
    let mut modules = Vec::new();
    let mut rest = path;
    while let Some((name, behind)) = rest.split_once("::") {
        if modules.len() == 2 || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            break;
        }
        modules.push(name);
        rest = behind;
    }
    format!("`{}`", modules.join("::"))
}

/// A symbol without the long types of what it is generic over.
fn shortened(symbol: &str) -> String {
    let name = symbol.replace("ftpdlite::", "").replace("::<native::server::Home>", "");
    let name = name.replace(" as core::ops::function::FnOnce<(&mut native::session::Inside,)>>::call_once", "");
    if name.chars().count() > 90 { name.chars().take(87).collect::<String>() + "..." } else { name }
}

/// The heap of a MicroPython, by what is loaded and made.
pub fn heap(project: &Project, target: &Target, runtime: &Path) -> Result<String> {
    let mut probe = program(runtime);
    probe.args(["-X", "heapsize=512k", "tests/e2e/heap_account.py"]).arg(project.dist(target.name)).arg(target.name);
    probe.current_dir(&project.root).env("MICROPYPATH", ".frozen");
    heap_table(&output(&mut probe)?)
}

fn heap_table(told: &str) -> Result<String> {
    let mut table = String::from("\n| what | bytes | of these names |\n| --- | ---: | ---: |\n");
    let (mut names, mut former) = (0, 0);
    for line in told.lines() {
        let number = |text: &str| {
            text.parse::<usize>().map_err(|_| format!("the account of the heap is not to be read: {line}"))
        };
        if let Some((_, total)) = line.split_once("n_total_bytes=") {
            (former, names) = (names, number(total)?);
        } else if let Some((bytes, what)) = line.split_once('\t')
            && what != "nothing"
        {
            table += &format!("| {what} | {} | {} |\n", with_thousands(number(bytes)?), with_thousands(names - former));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_belongs_to_a_part_of_the_source() {
        for (symbol, wanted) in [
            ("<ftpdlite::protocol::session::Session>::run::<ftpdlite::native::server::Home>", "`protocol::session`"),
            ("ftpdlite::protocol::address::parse_v6", "`protocol::address`"),
            ("ftpdlite::native::shown", "`native`"),
            ("<nom::character::complete::space0<&[u8], ()>", "`nom`"),
            ("<[u8]>::trim_ascii_end", "`core`, the compiler's functions"),
            ("mpy_init", "`native`"),
        ] {
            assert_eq!(part(symbol), wanted, "{symbol}");
        }
    }

    #[test]
    fn the_heap_is_told_with_its_names() {
        let told = "qstr pool: n_pool=2, n_total_bytes=700\n5000\tnothing\nqstr pool: n_pool=3, n_total_bytes=1700\n12345\tthe module\n";
        assert!(heap_table(told).expect("a table").ends_with("| the module | 12,345 | 1,000 |\n"));
        assert!(heap_table("x\ty\n").is_err());
    }
}
