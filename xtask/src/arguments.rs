//! How all commands read their arguments.

use crate::project::Result;
use lexopt::prelude::*;

/// An error of the arguments as text.
pub fn text(error: impl std::fmt::Display) -> String {
    format!("{error}; see cargo xtask help")
}

/// An option's value.
pub fn value(arguments: &mut lexopt::Parser) -> Result<String> {
    arguments.value().map_err(text)?.string().map_err(text)
}

/// For a command that takes none.
pub fn no_arguments(mut arguments: lexopt::Parser) -> Result {
    match arguments.next().map_err(text)? {
        Some(argument) => Err(text(argument.unexpected())),
        None => Ok(()),
    }
}
