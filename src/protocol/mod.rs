//! The sans-IO FTP core: bytes and outcomes in, reply bytes and actions out.
//!
//! Nothing here knows sockets, files or MicroPython; nothing allocates; nothing is `unsafe`.
//!
//! # The story of a command
//!
//! The host reads from a control connection into [`Session::space`](session::Session::space) and calls
//! [`Session::received`](session::Session::received): [`input`] takes the Telnet sequences out and cuts the bytes into lines. Then it calls
//! [`Session::next`](session::Session::next) with a [`Turn`](session::Turn), in which are the settings, room for the reply, and the file system to
//! look at ([`Host`](session::Host)). `next` takes one line. [`command`] has the table that says what may be sent when and by whom, [`arguments`] and
//! [`address`] parse what follows the verb, and [`path`] resolves names, so that no client leaves its home or uses a name that a file system would
//! read otherwise.
//!
//! The command's function in [`session`] writes its reply through a [`Writer`](writer::Writer), or gives a [`Step`](session::Step) that the host has
//! to take: read more, close, or do an [`Action`](session::Action), such as to remove a file, to listen, or to open a file and begin a transfer.
//! [`Session::resume`](session::Session::resume) hears the [`Outcome`](session::Outcome), and words the rest of the reply.
//!
//! # The story of a transfer
//!
//! The host moves the bytes. The session counts them ([`Session::data_moved`](session::Session::data_moved)), keeps the time
//! ([`Session::tick`](session::Session::tick)), and meanwhile answers ABOR, STAT and NOOP. [`Session::finish`](session::Session::finish) tells it how
//! the transfer has come to its [`End`](session::End), which the next `next` words. On the way files are converted by [`ascii`], entries of
//! directories chosen by [`glob`] and written by [`listing`], times by [`time`](mod@time), digests made by [`hash`](mod@hash).
#![forbid(unsafe_code)]

pub mod address;
pub mod arguments;
pub mod ascii;
pub mod command;
pub mod glob;
pub mod input;
pub mod listing;
pub mod path;
mod security;
pub mod session;
mod texts;
pub mod time;
pub mod writer;
