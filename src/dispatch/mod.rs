//! The room `dispatch/`: to be filled.
