//! The binary's entry: hands the command line to `cli` and turns its answer into the exit code.

fn main() {}
