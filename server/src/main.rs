//! The `patchbay` binary.

use std::process::ExitCode;

// Small answers at a high rate are what the server makes all day, and this allocator is good at them. It takes the place of the C
// library's `malloc`, so that the database's memory is its too, and Rust's comes to it by that way: its entry for memory of a
// given alignment, which `MiMalloc` uses, takes a longer way and a larger block where it does not find a free one at once or the
// block is over 1 KiB, unless the block's size is a power of two.
use mimalloc as _;

fn main() -> ExitCode {
    patchbay::cli::run()
}
