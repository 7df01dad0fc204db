//! FTPdLite: an FTP server for MicroPython.
//!
//! [`protocol`] is the sans-IO FTP core; the `native` feature adds the MicroPython module around it.
//! `docs/architecture.md` shows how the rooms fit together.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod protocol;

#[cfg(feature = "native")]
mod native;
