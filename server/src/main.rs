//! The `patchbay` binary.

use std::process::ExitCode;

/// Small answers at a high rate are what the server makes all day; this allocator is good at them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    patchbay::cli::run()
}
