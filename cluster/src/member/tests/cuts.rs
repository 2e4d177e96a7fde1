//! Links that can be cut and healed.

use crate::fabric::{BoxFuture, BoxStream, MemoryTransport, Transport};
use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Who can say nothing to whom.
#[derive(Clone, Default)]
pub struct Cuts(Arc<Mutex<Cut>>);

#[derive(Default)]
struct Cut {
    pairs: BTreeSet<(String, String)>,
    off: BTreeSet<String>,
}

impl Cuts {
    /// Cuts both ways between two.
    pub fn cut(&self, a: &str, b: &str) {
        let mut cuts = self.0.lock().unwrap();
        cuts.pairs.extend([(a.into(), b.into()), (b.into(), a.into())]);
    }

    /// Cuts these off from everybody.
    pub fn cut_off(&self, names: &[&str]) {
        self.0.lock().unwrap().off.extend(names.iter().map(|n| (*n).to_owned()));
    }

    /// Heals all.
    pub fn heal(&self) {
        *self.0.lock().unwrap() = Cut::default();
    }

    fn check(&self, from: &str, to: &str) -> io::Result<()> {
        let cuts = self.0.lock().unwrap();
        let pair = (from.to_owned(), to.to_owned());
        let cut = cuts.pairs.contains(&pair) || cuts.off.contains(from) || cuts.off.contains(to);
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
