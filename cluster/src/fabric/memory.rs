//! Connections within one process, for tests and simulations.

use super::hello::Caller;
use super::listen::Answer;
use super::transport::{BoxFuture, BoxStream, Listener, Transport};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::duplex;
use tokio::sync::mpsc;

/// Bytes that a connection holds on their way.
const BUFFER: usize = 64 << 10;

/// Connections that wait to be taken.
const BACKLOG: usize = 1_024;

type Doors = BTreeMap<String, mpsc::Sender<BoxStream>>;

/// Addresses within one process.
#[derive(Clone, Default)]
pub struct MemoryTransport(Arc<Mutex<Doors>>);

impl MemoryTransport {
    /// Listens at an address until the listener is dropped.
    pub fn listen(&self, address: &str) -> MemoryListener {
        let (door, taken) = mpsc::channel(BACKLOG);
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doors.insert(address.to_owned(), door);
        MemoryListener(taken)
    }
}

impl Transport for MemoryTransport {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let door = {
                let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                doors.get(address).cloned().ok_or_else(refused)?
            };
            let (ours, theirs) = duplex(BUFFER);
            door.send(Box::new(theirs)).await.map_err(|_| refused())?;
            Ok(Box::new(ours) as BoxStream)
        })
    }
}

/// Takes the connections to one address.
pub struct MemoryListener(mpsc::Receiver<BoxStream>);

impl Listener for MemoryListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            match self.0.recv().await {
                Some(stream) => Ok(stream),
                // Nobody can connect any more.
                None => std::future::pending().await,
            }
        })
    }
}

/// Answers nothing: in the place of what a test does not look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Answer for Silent {
    fn answer<'a>(&'a self, _: &'a Caller, _: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}
