//! The room `http/`: to be filled.
