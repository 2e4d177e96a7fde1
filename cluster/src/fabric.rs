//! The links between nodes: mutual TLS, one connection for each [`Lane`] of a pair, requests and
//! answers in frames.
//!
//! Who speaks is in its certificate ([`Identity`]). Nothing of a stranger is decoded: a connection
//! is answered after its handshake, whose certificate is of this cluster's authority, of this
//! cluster and of this time. A [`Judge`] refuses more: who is barred, or says the id of another.
//! Bytes come and go through a [`Transport`]: no socket is opened here.

pub mod authority;
mod dial;
mod error;
mod frame;
mod hello;
mod identity;
pub mod joining;
mod lane;
pub mod limits;
mod listen;
#[cfg(any(test, feature = "sim"))]
mod memory;
mod tls;
mod transport;
mod writer;

pub use dial::{Delay, Fabric};
pub use error::Error;
pub use hello::{Caller, Judge};
pub use identity::{Identity, Who};
pub use lane::Lane;
pub use listen::{Answer, Counts, Gate};
#[cfg(any(test, feature = "sim"))]
pub use memory::{MemoryListener, MemoryTransport, Silent};
pub use tls::Credentials;
pub use transport::{BoxFuture, BoxStream, Listener, Stream, Transport};

#[cfg(test)]
mod tests;
