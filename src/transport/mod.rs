//! Moves bytes between this box and a CAS: framing and non-blocking TCP connections, with TLS where wanted.
//!
//! Knows nothing of pairings, scripts or providers. `provider/` drives it as the client, `simulate/` as the server.

pub mod connection;
pub mod framing;
pub mod tls;

pub use connection::{Connection, ConnectionError};
pub use framing::{Decoder, FramingError, encode};
pub use tls::TlsClient;
