//! The room `cli/`: to be filled.
