//! The room `simulate/`: to be filled.
