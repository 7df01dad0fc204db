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
    // SAFETY: the linker step points the symbol at the runtime's table, which is constant and complete.
    unsafe { &mp_fun_table }
}
