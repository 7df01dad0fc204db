//! The sans-IO FTP core: bytes and outcomes in, reply bytes and actions out.
//!
//! Nothing here knows sockets, files or MicroPython; nothing allocates; nothing is `unsafe`.
#![forbid(unsafe_code)]

pub mod address;
pub mod arguments;
pub mod ascii;
pub mod command;
pub mod glob;
pub mod hash;
pub mod input;
pub mod listing;
pub mod path;
pub mod session;
mod texts;
pub mod time;
pub mod writer;
