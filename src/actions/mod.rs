//! The room `actions/`: to be filled.
