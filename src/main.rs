//! The binary's entry: hands the command line to `cli` and turns its answer into the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    pairbox::cli::run(std::env::args_os())
}
