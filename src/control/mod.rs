//! The room `control/`: to be filled.
