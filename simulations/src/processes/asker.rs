//! The harness's own end of the network: a thread in a namespace of its own, with a runtime in
//! which clients and those who watch ask nodes.

use super::space::Space;
use super::{Error, sys};
use std::future::Future;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The thread. All tasks end with it.
pub struct Asker {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    _space: Space,
}

impl Asker {
    /// Opens one at an address; gives its device, too.
    ///
    /// # Errors
    /// [`Error::Host`].
    pub fn open(address: Ipv4Addr) -> Result<(Self, OwnedFd), Error> {
        let space = Space::open("clients", false)?;
        let device = space.run(move || sys::tun(address)).get()?;
        let device = device.map_err(|e| Error::host("a TUN device", e))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::host("a runtime", e))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        space.run(move || {
            let _dropped = runtime.block_on(stopped);
            runtime.shutdown_background();
        });
        Ok((Self { handle, stop: Some(stop), _space: space }, device))
    }

    /// Starts a task there.
    pub fn start<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(task)
    }

    /// Waits for what a task there comes to.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn ask<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = mpsc::sync_channel(1);
        self.start(async move { drop(tell.send(task.await)) });
        told.recv().map_err(|_| Error::Gone)
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        // The space waits for its thread when it is dropped, after this.
        drop(self.stop.take());
    }
}
