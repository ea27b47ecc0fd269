//! The room `store/`: to be filled.
