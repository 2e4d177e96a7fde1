//! Links that can be cut and healed.

use crate::fabric::{BoxFuture, BoxStream, MemoryTransport, Transport};
use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Pairs of who can say nothing to whom.
#[derive(Clone, Default)]
pub struct Cuts(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Cuts {
    /// Cuts both ways between two.
    pub fn cut(&self, a: &str, b: &str) {
        let mut cuts = self.0.lock().unwrap();
        cuts.extend([(a.into(), b.into()), (b.into(), a.into())]);
    }

    /// Heals all.
    pub fn heal(&self) {
        self.0.lock().unwrap().clear();
    }

    fn check(&self, from: &str, to: &str) -> io::Result<()> {
        let cut = self.0.lock().unwrap().contains(&(from.to_owned(), to.to_owned()));
        if cut { Err(io::ErrorKind::HostUnreachable.into()) } else { Ok(()) }
    }
}

/// Connections of one node within this process, which end when they are used while they are cut.
pub struct CutTransport {
    net: MemoryTransport,
    from: String,
    cuts: Cuts,
}

impl CutTransport {
    pub fn new(net: MemoryTransport, from: &str, cuts: Cuts) -> Self {
        Self { net, from: from.into(), cuts }
    }
}

impl Transport for CutTransport {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            self.cuts.check(&self.from, address)?;
            let inner = self.net.connect(address).await?;
            let (from, to) = (self.from.clone(), address.to_owned());
            Ok(Box::new(CutStream { inner, from, to, cuts: self.cuts.clone() }) as BoxStream)
        })
    }
}

struct CutStream {
    inner: BoxStream,
    from: String,
    to: String,
    cuts: Cuts,
}

impl AsyncRead for CutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cuts.check(&self.from, &self.to)?;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cuts.check(&self.from, &self.to)?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
