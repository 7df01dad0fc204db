//! The architectures that the module is built for.

use crate::mpy::Arch;
use crate::project::Result;

/// What an architecture is called and built with. A new one is one more entry.
pub struct Target {
    /// MicroPython's name for it.
    pub name: &'static str,
    /// Its number in a `.mpy` header.
    pub arch: Arch,
    /// Rust's name for it.
    pub triple: &'static str,
    /// Compiler flags of its own.
    pub flags: &'static [&'static str],
    /// Whether the code runs where it lies in a ROMFS, and is not copied to RAM.
    pub rom: bool,
}

/// The architectures that can be built.
pub const TARGETS: &[Target] = &[
    Target { name: "x64", arch: Arch::X64, triple: "x86_64-unknown-linux-gnu", flags: &[], rom: false },
    Target { name: "armv6m", arch: Arch::Armv6m, triple: "thumbv6m-none-eabi", flags: ARM_FLAGS, rom: false },
    Target { name: "armv7m", arch: Arch::Armv7m, triple: "thumbv7m-none-eabi", flags: ARM_FLAGS, rom: false },
    // Its floating point unit has single precision only. That is also the default of this triple.
    Target { name: "armv7emsp", arch: Arch::Armv7emsp, triple: "thumbv7em-none-eabihf", flags: ARM_FLAGS, rom: false },
    Target { name: "rv32imc", arch: Arch::Rv32imc, triple: "riscv32imc-unknown-none-elf", flags: &[], rom: false },
    Target { name: "xtensawin", arch: Arch::XtensaWin, triple: XTENSA, flags: &[], rom: false },
    Target { name: "armv6m_rom", arch: Arch::Armv6m, triple: "thumbv6m-none-eabi", flags: ROM_FLAGS, rom: true },
    Target { name: "armv7m_rom", arch: Arch::Armv7m, triple: "thumbv7m-none-eabi", flags: ROM_FLAGS, rom: true },
];

/// The name of Xtensa's target. It is also the name of a built-in target, because `cc` must know it.
pub const XTENSA: &str = "xtensa-esp32-none-elf";

/// The compiler flags of Thumb. The loader can put addresses into the words between the functions, where the code takes them with one instruction: so the code
/// need not be position independent, nor take `mp_fun_table` from a GOT. Small constants stand there themselves, and registers are spilled for size. Blocks of code
/// lie so that the jumps between them are short, and none are added for values to be moved in. What is computed twice is not kept in between, because with eight
/// registers it would be kept on the stack. A jump table pays when it is nearly full.
const ARM_FLAGS: &[&str] = &[
    "-Crelocation-model=static",
    "-Cllvm-args=--arm-promote-constant",
    "-Cllvm-args=--arm-promote-constant-max-size=32",
    "-Cllvm-args=--arm-promote-constant-max-total=1024",
    "-Cllvm-args=--split-spill-mode=size",
    "-Cllvm-args=--apply-ext-tsp-for-size",
    "-Cllvm-args=--disable-machine-cse",
    "-Cllvm-args=--optsize-jump-table-density=80",
    "-Cllvm-args=--disable-phi-elim-edge-splitting",
];

/// The same without the loader: the code finds itself by its own address, and what the loader would put into it by the register r9 (`micropython/rom.S`).
const ROM_FLAGS: &[&str] = &[
    "-Crelocation-model=ropi-rwpi",
    "-Cllvm-args=--arm-promote-constant",
    "-Cllvm-args=--arm-promote-constant-max-size=32",
    "-Cllvm-args=--arm-promote-constant-max-total=1024",
    "-Cllvm-args=--split-spill-mode=size",
    "-Cllvm-args=--apply-ext-tsp-for-size",
    "-Cllvm-args=--disable-machine-cse",
    "-Cllvm-args=--optsize-jump-table-density=80",
    "-Cllvm-args=--disable-phi-elim-edge-splitting",
];

impl Target {
    /// The architecture of that name.
    pub fn named(name: &str) -> Result<&'static Target> {
        TARGETS.iter().find(|target| target.name == name).ok_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            format!("there is no architecture {name}; there is: {}", names.join(", "))
        })
    }
}
