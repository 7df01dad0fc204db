//! The module in a loader of ours under QEMU.

use super::link::link;
use super::tools::{Tools, c_objects};
use crate::debian::{apt_install, may_install};
use crate::mpy::{Destination, Module};
use crate::project::{Project, Result, program, run, say, which, write_if_changed};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The emulator; tests/xtensa/play.py says which processor it plays.
const QEMU: &str = "qemu-xtensa";

/// Makes sure that there is the emulator.
///
/// # Errors
/// With what to install, where that may not be done here.
pub fn find() -> Result {
    if which(QEMU).is_none() && may_install() {
        say("installs qemu-user (apt-get)");
        apt_install(&["qemu-user"])?;
    }
    which(QEMU).map(drop).ok_or_else(|| format!("{QEMU} is missing; as root on Debian: apt-get install qemu-user"))
}

/// Runs the module that was built in a loader of ours under QEMU, with the transcripts.
pub fn test(project: &Project) -> Result {
    let module = project.dist("xtensawin").join("ftpdlite/native_xtensawin.mpy");
    let tools = Tools::find()?;
    let folder = project.target.join("xtensawin");
    let sources = ["loader.c", "start.s"].map(|name| project.root.join("tests/xtensa").join(name));
    let loader = folder.join("loader.elf");
    write_if_changed(&loader, &program_file(&link(&c_objects(&tools, &folder, &sources)?)?))?;
    // QEMU runs only what may be executed.
    fs::set_permissions(&loader, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", loader.display()))?;
    let mut play = program(project.python());
    play.current_dir(&project.root).arg("tests/xtensa/play.py").arg(&loader).arg(module);
    run(&mut play)
}

/// A linked module as a program of Linux: its blocks where tests/xtensa/loader.c wants them.
fn program_file(module: &Module) -> Vec<u8> {
    const TEXT: u32 = 0x40_0000;
    const RODATA: u32 = 0x50_0000;
    // Address, size in memory and rights (1 to execute, 2 to write, 4 to read): state and heap, the loaded text, the loaded constants.
    const MEMORY: [(u32, u32, u32); 3] =
        [(0x1000_0000, 0x400_0000, 6), (0x2000_0000, 0x10_0000, 6), (0x3000_0000, 0x10_0000, 6)];
    let placed = |block: &[u8], relocations: &BTreeMap<usize, Destination>| {
        let mut block = block.to_vec();
        for (word, destination) in relocations {
            let word = &mut block[word * 4..][..4];
            let base = if *destination == Destination::Rodata { RODATA } else { TEXT };
            let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_add(base);
            word.copy_from_slice(&value.to_le_bytes());
        }
        block
    };
    let blocks = [
        (TEXT, 5, placed(&module.text, &module.relocations)),
        (RODATA, 4, placed(&module.rodata, &module.rodata_relocations)),
    ];
    const PAGE: usize = 0x1000;
    let count = (blocks.len() + MEMORY.len()) as u32;
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |low: u32, high: u32| high << 16 | low;
    // Type 2 is a program, machine 94 Xtensa; the program headers stand right behind this header.
    for word in [half(2, 94), 1, TEXT, 52, 0, 0, half(52, 32), half(count, 0), 0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    let mut offset = PAGE;
    let mut content = Vec::new();
    let mut header = |words: [u32; 8]| words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    for (address, rights, block) in &blocks {
        let size = block.len() as u32;
        header([1, offset as u32, *address, *address, size, size, *rights, PAGE as u32]);
        content.extend_from_slice(block);
        content.resize(content.len().next_multiple_of(PAGE), 0);
        offset = PAGE + content.len();
    }
    for (address, size, rights) in MEMORY {
        header([1, 0, address, address, 0, size, rights, PAGE as u32]);
    }
    out.resize(PAGE, 0);
    out.extend(content);
    out
}
