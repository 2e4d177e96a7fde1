//! Sockets for the links between nodes.

use cluster::fabric::{BoxFuture, BoxStream, Listener, Transport};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// Connections by TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

fn boxed(stream: TcpStream) -> io::Result<BoxStream> {
    // Frames are flushed when they are whole: waiting for more would delay heartbeats.
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

impl Transport for Tcp {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move { boxed(TcpStream::connect(address).await?) })
    }
}

/// A socket that takes connections.
#[derive(Debug)]
pub struct Door(TcpListener);

impl Door {
    /// Binds `host:port`.
    ///
    /// # Errors
    /// As the host gives them.
    pub async fn bind(address: &str) -> io::Result<Self> {
        Ok(Self(TcpListener::bind(address).await?))
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// As the host gives them.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Listener for Door {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move { boxed(self.0.accept().await?.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_go_both_ways() {
        let mut door = Door::bind("127.0.0.1:0").await.unwrap();
        let address = door.address().unwrap().to_string();
        let (there, here) = tokio::join!(Tcp.connect(&address), door.accept());
        let (mut there, mut here) = (there.unwrap(), here.unwrap());
        there.write_all(b"to").await.unwrap();
        here.write_all(b"fro").await.unwrap();
        let (mut to, mut fro) = ([0; 2], [0; 3]);
        here.read_exact(&mut to).await.unwrap();
        there.read_exact(&mut fro).await.unwrap();
        assert_eq!((&to, &fro), (b"to", b"fro"));
    }
}
