//! stub
pub mod fault;
