//! Standard output, whose reader may go away at any time (`watchfire … | head`): what a command
//! does and its exit code are the same then, only nothing more is written.

use crate::exit;
use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// As [`std::println`], which panics when nobody reads.
macro_rules! println {
    () => { $crate::print::write(format_args!("\n")) };
    ($($what:tt)*) => { $crate::print::write(format_args!("{}\n", format_args!($($what)*))) };
}

/// As [`std::print`], which panics when nobody reads.
macro_rules! print {
    ($($what:tt)*) => { $crate::print::write(format_args!($($what)*)) };
}

/// Writes to standard output. That it cannot be written ends the process, unless its reader left.
pub fn write(what: Arguments<'_>) {
    if let Err(error) = std::io::stdout().lock().write_fmt(what)
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("watchfire: standard output: {error}");
        std::process::exit(exit::FAILED.into());
    }
}
