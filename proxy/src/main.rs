//! The `portcullis` command. Everything it does stands in the library.

use std::process::ExitCode;

/// An exchange makes many small allocations; this allocator takes half the time of the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::main()
}
