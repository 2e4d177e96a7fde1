//! Connections of the simulated net, as the fabric sees them.

use super::net::{Opening, Shared, lock};
use cluster::fabric::{BoxFuture, BoxStream, Listener, Transport};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A side of a connection.
struct End {
    net: Shared,
    /// The way on which it writes.
    out: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        lock(&self.net).close(self.out);
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let read = lock(&self.net).read(self.out ^ 1, buf.initialize_unfilled(), cx.waker());
        match read {
            None => Poll::Pending,
            Some(read) => Poll::Ready(read.map(|count| buf.advance(count))),
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        match lock(&self.net).write(self.out, buf, cx.waker()) {
            None => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
            Some(0) if !buf.is_empty() => Poll::Pending,
            Some(count) => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        lock(&self.net).shut(self.out);
        Poll::Ready(Ok(()))
    }
}

/// Connects from a host.
pub struct From {
    pub net: Shared,
    pub host: usize,
    /// Hosts by the address at which they listen.
    pub addresses: Arc<BTreeMap<String, usize>>,
}

impl Transport for From {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<BoxStream>> {
        Box::pin(async move {
            let unknown = || Error::new(ErrorKind::NotFound, format!("no host is {address}"));
            let to = *self.addresses.get(address).ok_or_else(unknown)?;
            let out = lock(&self.net).open(self.host, to);
            // From here on it is closed when nobody waits any more.
            let end = End { net: Arc::clone(&self.net), out };
            poll_fn(|cx| match lock(&self.net).opening(out, cx.waker()) {
                Opening::Waits => Poll::Pending,
                Opening::Open => Poll::Ready(Ok(())),
                Opening::Refused => Poll::Ready(Err(Error::from(ErrorKind::ConnectionRefused))),
            })
            .await?;
            Ok(Box::new(end) as BoxStream)
        })
    }
}

/// Takes the connections to a host.
pub struct At {
    pub net: Shared,
    pub host: usize,
}

impl Listener for At {
    fn accept(&mut self) -> BoxFuture<'_, Result<BoxStream>> {
        Box::pin(async move {
            let taken = |cx: &mut Context<'_>| match lock(&self.net).accept(self.host, cx.waker()) {
                Some(out) => Poll::Ready(out),
                None => Poll::Pending,
            };
            let out = poll_fn(taken).await;
            Ok(Box::new(End { net: Arc::clone(&self.net), out }) as BoxStream)
        })
    }
}
