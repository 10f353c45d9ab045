//! The `patchbay` binary.

use std::process::ExitCode;

// Small answers at a high rate are what the server makes all day, and this allocator is good at them. It takes the place of the C
// library's `malloc`, so that the database's memory is its too, and Rust's comes to it by that way: its entry for memory of a
// given alignment, which `MiMalloc` uses, takes a block larger than asked for, slowly, wherever a size is no power of two.
use mimalloc as _;

fn main() -> ExitCode {
    patchbay::cli::run()
}
