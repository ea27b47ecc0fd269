//! The room `provider/`: to be filled.
