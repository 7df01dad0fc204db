//! The bindings that bindgen makes from `micropython/abi.h`. Only this folder uses them.
#![allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    missing_docs,
    clippy::all,
    clippy::pedantic
)]
#![allow(unsafe_op_in_unsafe_fn)]

include!(concat!(env!("OUT_DIR"), "/abi.rs"));

/// The runtime's functions.
#[inline(always)]
pub fn table() -> &'static mp_fun_table_t {
    place::functions()
}

/// What the loader says is found through three symbols: the linker step points them at the runtime's table and at the module's own.
#[cfg(not(feature = "rom"))]
mod place {
    #[inline(always)]
    pub fn functions() -> &'static super::mp_fun_table_t {
        // SAFETY: the linker step points the symbol at the runtime's table, which is constant and complete.
        unsafe { &super::mp_fun_table }
    }

    /// The run-time numbers of the module's names.
    pub fn names() -> *const super::qstr_short_t {
        (&raw const super::mp_qstr_table).cast()
    }

    /// The constant objects of the module's file.
    pub fn objects() -> *const super::mp_obj_t {
        (&raw const super::mp_obj_table).cast()
    }

    /// What the runtime calls for a function.
    pub fn entry(code: *const ()) -> *const () {
        code
    }

    /// The address of a function that a constant of the module holds.
    pub fn held(code: &*const ()) -> *const () {
        *code
    }
}

/// Code that runs where it lies in flash has no words of its own. So the register r9, which the compiler keeps free, says where they are: `micropython/rom.S`.
#[cfg(feature = "rom")]
mod place {
    /// The words, in the part of the module that is in RAM.
    #[repr(C)]
    struct Base {
        functions: *const super::mp_fun_table_t,
        names: *const super::qstr_short_t,
        objects: *const super::mp_obj_t,
        /// The next way in that nobody has taken, and where they end.
        next: *mut Way,
        end: *mut Way,
    }

    unsafe extern "C" {
        /// The code begins with it: `native::mpy_init`.
        fn mpy_init();
    }

    /// A way in: code that sets r9, and what it calls then.
    #[repr(C)]
    struct Way {
        code: [u16; 4],
        target: *const (),
    }

    #[inline(always)]
    fn base() -> *mut Base {
        let base;
        // SAFETY: each way in has set it, and it stays.
        unsafe { core::arch::asm!("mov {}, r9", out(reg) base, options(pure, nomem, nostack, preserves_flags)) };
        base
    }

    #[inline(always)]
    pub fn functions() -> &'static super::mp_fun_table_t {
        // SAFETY: the loader has written the word; the table is constant and complete.
        unsafe { &*(*base()).functions }
    }

    pub fn names() -> *const super::qstr_short_t {
        // SAFETY: the loader has written the word.
        unsafe { (*base()).names }
    }

    pub fn objects() -> *const super::mp_obj_t {
        // SAFETY: as above.
        unsafe { (*base()).objects }
    }

    /// What the runtime calls for a function: a way in that is taken for it. Only at the module's import.
    #[inline(never)]
    pub fn entry(code: *const ()) -> *const () {
        // SAFETY: the words and the ways are the module's own, and nobody else is about at its import.
        unsafe {
            let base = &mut *base();
            let way = base.next;
            assert!(way < base.end);
            base.next = way.add(1);
            (*way).target = code;
            // The lowest bit says that it is Thumb code.
            way.cast::<u8>().add(1).cast()
        }
    }

    /// The address of a function that a constant of the module holds. No loader has added the module's address to it.
    pub fn held(code: &*const ()) -> *const () {
        // SAFETY: a reference. If the compiler knew what is read, it would give the function's true address.
        let offset = unsafe { core::ptr::read_volatile(code) } as usize;
        let start = mpy_init as *const () as usize & !1;
        start.wrapping_add(offset) as *const ()
    }
}

pub use place::{entry, held, names, objects};
