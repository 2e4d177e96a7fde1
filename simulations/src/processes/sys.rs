//! What the kernel is asked for that no safe call of the standard library or of rustix covers:
//! namespaces for a thread, a TUN device, the address of an interface, the shutdown of a file
//! system, and children that end with their parent.
//!
//! All `unsafe` of the harness is here. Each request hands the kernel a value of the size and
//! layout that the request's number stands for, which the kernel copies; no pointer outlives a
//! call.

#![allow(unsafe_code, reason = "ioctl, unshare and pre_exec; the proof stands at each call")]

use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The name of every TUN device: each is alone in its namespace.
const NAME: &[u8] = b"wf0";

/// `TUNSETIFF`, `linux/if_tun.h`.
const SET_TUN: Opcode = opcode::write::<i32>(b'T', 202);
/// `SIOCSIFFLAGS`, `SIOCSIFADDR`, `SIOCSIFNETMASK`, `linux/sockios.h`.
const SET_FLAGS: Opcode = 0x8914;
const SET_ADDRESS: Opcode = 0x8916;
const SET_MASK: Opcode = 0x891c;
/// `EXT4_IOC_SHUTDOWN`, `linux/ext4.h`; `XFS_IOC_GOINGDOWN` is the same.
const SHUT_DOWN: Opcode = opcode::read::<u32>(b'X', 125);

/// `IFF_TUN | IFF_NO_PI`: packets as they are.
const TUN: u16 = 0x1001;
/// `IFF_UP | IFF_RUNNING`.
const UP: u16 = 0x41;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: nothing more is written, not even the file system's own log.
const AT_ONCE: u32 = 2;
/// `AF_INET`.
const INTERNET: u16 = 2;

/// `struct ifreq`, `linux/if.h`: a name, and what is said of the interface.
#[repr(C)]
struct Interface {
    name: [u8; 16],
    said: [u8; 24],
}

impl Interface {
    fn new(name: &[u8], said: &[u8]) -> Self {
        let mut request = Self { name: [0; 16], said: [0; 24] };
        request.name[..name.len()].copy_from_slice(name);
        request.said[..said.len()].copy_from_slice(said);
        request
    }

    /// `struct sockaddr_in` of an address.
    fn address(name: &[u8], address: Ipv4Addr) -> Self {
        let [a, b] = INTERNET.to_ne_bytes();
        let [w, x, y, z] = address.octets();
        Self::new(name, &[a, b, 0, 0, w, x, y, z])
    }
}

fn ask<const REQUEST: Opcode, T>(fd: impl AsFd, value: T) -> io::Result<()> {
    // SAFETY: `ask` is private, and each caller gives the type that the kernel reads for the
    // request: `struct ifreq` for those of interfaces, a 32-bit number for the shutdown.
    unsafe { ioctl(fd, Setter::<REQUEST, T>::new(value)) }.map_err(Into::into)
}

/// Gives the calling thread a network of its own, in which there is nothing, and with `mounts` its
/// own view of what is mounted. Children of the thread are in the same; it all goes with the last
/// of them.
///
/// # Errors
/// Not root, or a kernel without namespaces.
pub fn leave(mounts: bool) -> io::Result<()> {
    let flags =
        UnshareFlags::NEWNET | if mounts { UnshareFlags::NEWNS } else { UnshareFlags::empty() };
    // SAFETY: the table of open files, which alone makes this unsafe, stays shared.
    unsafe { unshare_unsafe(flags) }.map_err(Into::into)
}

/// Makes the one device of the calling thread's network, with an address in a net of 16 bits.
/// Packets that are sent there are read from what is returned, and those that are written to it
/// arrive. Reading does not wait.
///
/// # Errors
/// No `/dev/net/tun`, or not root.
pub fn tun(address: Ipv4Addr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty())?;
    ask::<SET_TUN, _>(&device, Interface::new(NAME, &TUN.to_ne_bytes()))?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    ask::<SET_ADDRESS, _>(&socket, Interface::address(NAME, address))?;
    ask::<SET_MASK, _>(&socket, Interface::address(NAME, Ipv4Addr::new(255, 255, 0, 0)))?;
    ask::<SET_FLAGS, _>(&socket, Interface::new(NAME, &UP.to_ne_bytes()))?;
    ask::<SET_FLAGS, _>(&socket, Interface::new(b"lo", &UP.to_ne_bytes()))?;
    Ok(device)
}

/// Ends a file system as a power cut does: what is not on the disk yet never gets there, and every
/// write fails from now on.
///
/// # Errors
/// Not root, or a file system that cannot.
pub fn shut_down(folder: impl AsFd) -> io::Result<()> {
    ask::<SHUT_DOWN, u32>(folder, AT_ONCE)
}

/// Lets a child be killed when the thread that starts it ends, whatever ends that.
pub fn end_with_parent(command: &mut Command) {
    let before = || set_parent_process_death_signal(Some(Signal::KILL)).map_err(Into::into);
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { command.pre_exec(before) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_laid_out_as_the_kernel_reads_them() {
        assert_eq!(size_of::<Interface>(), 40, "struct ifreq of 64-bit Linux");
        assert_eq!((SET_TUN, SHUT_DOWN), (0x4004_54ca, 0x8004_587d));
        let request = Interface::address(b"lo", Ipv4Addr::new(10, 78, 0, 1));
        assert_eq!(&request.name[..3], b"lo\0");
        assert_eq!(request.said[..8], [2, 0, 0, 0, 10, 78, 0, 1]);
    }
}
