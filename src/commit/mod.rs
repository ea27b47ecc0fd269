//! The room `commit/`: to be filled.
