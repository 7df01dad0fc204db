//! Floating point. No module may need it, because most boards can only imitate it.

use object::read::elf::{ElfFile, FileHeader};
use object::{Object, ObjectSymbol};

/// Whether a symbol is one of the compiler's functions for floating point, which it calls where the machine has no such instructions.
pub fn is_soft_float(name: &str) -> bool {
    // ARM's names say what is taken: a float, a double, or what becomes one.
    const ARM: &[&str] = &["f", "d", "cf", "cd", "h2", "i2", "ui2", "l2", "ul2"];
    if let Some(operation) = name.strip_prefix("__aeabi_") {
        return ARM.iter().any(|start| operation.starts_with(start));
    }
    // GCC's names, which all others use: __addsf3, __fixdfsi.
    name.strip_prefix("__").is_some_and(|rest| {
        rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && ["hf", "sf", "df", "tf"].iter().any(|kind| rest.contains(kind))
    })
}

/// Where in Thumb code the first floating point instruction is that does more than move or keep registers.
pub fn floating_point<H: FileHeader>(file: &ElfFile<'_, H>, text: &[u8]) -> Option<u64> {
    // Symbols say where code ($t) and constants among it ($d) begin.
    let mut marks: Vec<(usize, bool)> = file
        .symbols()
        .filter_map(|symbol| {
            let kind = symbol.name().ok()?.get(..2)?;
            let is_code = kind == "$t";
            (is_code || kind == "$d").then_some((symbol.address() as usize, is_code))
        })
        .collect();
    marks.sort_unstable();
    marks.push((text.len(), false));
    let half = |at: usize| text.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    for pair in marks.windows(2).filter(|pair| pair[0].1) {
        let (mut at, end) = (pair[0].0, pair[1].0);
        while at < end {
            let first = half(at)?;
            // The first halves of instructions of 32 bits.
            if first >> 11 < 0b11101 {
                at += 2;
                continue;
            }
            let second = half(at + 2)?;
            // An operation of the coprocessors 10 and 11 on its data: the floating point unit's, single and double.
            if first & 0xef00 == 0xee00 && second & 0x0e10 == 0x0a00 {
                return Some(at as u64);
            }
            at += 4;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_functions_for_floating_point_are_known() {
        for name in ["__aeabi_fadd", "__aeabi_ui2d", "__aeabi_cdcmple", "__aeabi_l2f", "__addsf3", "__fixdfsi"] {
            assert!(is_soft_float(name), "{name}");
        }
        for name in [
            "__aeabi_idivmod",
            "__aeabi_lmul",
            "__aeabi_uldivmod",
            "__aeabi_memclr8",
            "__udivmodsi4",
            "_RNvsf",
            "mpy_init",
        ] {
            assert!(!is_soft_float(name), "{name}");
        }
    }
}
