//! The room `transport/`: to be filled.
