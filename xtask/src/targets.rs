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
    /// How the code gets its addresses.
    pub addresses: Addresses,
}

/// How code gets its addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// It is position independent, and has a GOT for those of the runtime.
    Relative,
    /// The loader puts them into the words between the functions, where Thumb code takes them with one instruction: so the code need not be position independent, nor
    /// take `mp_fun_table` from a GOT.
    Loader,
    /// Nobody can put them into it, because it runs where it lies in a ROMFS. It finds itself by its own address, and what the loader would put into it by the register
    /// r9 (`micropython/rom.S`).
    Rom,
}

impl Addresses {
    /// What the compiler calls it.
    pub fn relocation_model(self) -> &'static str {
        match self {
            Addresses::Relative => "pic",
            Addresses::Loader => "static",
            Addresses::Rom => "ropi-rwpi",
        }
    }
}

/// The architectures that can be built.
pub const TARGETS: &[Target] = &[
    Target {
        name: "x64",
        arch: Arch::X64,
        triple: "x86_64-unknown-linux-gnu",
        flags: &[],
        addresses: Addresses::Relative,
    },
    Target {
        name: "armv6m",
        arch: Arch::Armv6m,
        triple: "thumbv6m-none-eabi",
        flags: ARM_FLAGS,
        addresses: Addresses::Loader,
    },
    Target {
        name: "armv7m",
        arch: Arch::Armv7m,
        triple: "thumbv7m-none-eabi",
        flags: ARM_FLAGS,
        addresses: Addresses::Loader,
    },
    // Its floating point unit has single precision only. That is also the default of this triple.
    Target {
        name: "armv7emsp",
        arch: Arch::Armv7emsp,
        triple: "thumbv7em-none-eabihf",
        flags: ARM_FLAGS,
        addresses: Addresses::Loader,
    },
    Target {
        name: "rv32imc",
        arch: Arch::Rv32imc,
        triple: "riscv32imc-unknown-none-elf",
        flags: &[],
        addresses: Addresses::Relative,
    },
    Target { name: "xtensawin", arch: Arch::XtensaWin, triple: XTENSA, flags: &[], addresses: Addresses::Relative },
    Target {
        name: "armv6m_rom",
        arch: Arch::Armv6m,
        triple: "thumbv6m-none-eabi",
        flags: ARM_FLAGS,
        addresses: Addresses::Rom,
    },
    Target {
        name: "armv7m_rom",
        arch: Arch::Armv7m,
        triple: "thumbv7m-none-eabi",
        flags: ARM_FLAGS,
        addresses: Addresses::Rom,
    },
];

/// The name of Xtensa's target. It is also the name of a built-in target, because `cc` must know it.
pub const XTENSA: &str = "xtensa-esp32-none-elf";

/// The compiler flags of Thumb. Small constants stand in the words between the functions, and registers are spilled for size. Blocks of code
/// lie so that the jumps between them are short, and none are added for values to be moved in. What is computed twice is not kept in between, because with eight
/// registers it would be kept on the stack. A jump table pays when it is nearly full.
const ARM_FLAGS: &[&str] = &[
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
    /// Whether the code runs where it lies in a ROMFS, and is not copied to RAM.
    pub fn is_in_place(&self) -> bool {
        self.addresses == Addresses::Rom
    }

    /// The architecture of that name.
    pub fn named(name: &str) -> Result<&'static Target> {
        TARGETS.iter().find(|target| target.name == name).ok_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            format!("there is no architecture {name}; there is: {}", names.join(", "))
        })
    }
}
