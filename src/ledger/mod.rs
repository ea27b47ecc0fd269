//! The room `ledger/`: to be filled.
