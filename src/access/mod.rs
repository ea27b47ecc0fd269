//! The room `access/`: to be filled.
