//! Ten thousand strangers at the door of a node, who say nothing, or nonsense, or half a greeting.

use crate::cluster::until;
use crate::nodes::World;
use serde_json::Value;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// Strangers, all at a time.
const STRANGERS: usize = 10_000;

/// KiB by which the node's memory may grow: 256 handshakes, some tens of KiB each, and what the
/// allocator keeps.
const GROWTH_KIB: u64 = 64 << 10;

/// The first flight of TLS 1.3: a record of a handshake, a ClientHello, and half of what it
/// announces.
const HALF_HELLO: [u8; 48] = {
    let mut hello = [0x5a; 48];
    let head = [0x16, 3, 1, 0, 0x80, 1, 0, 0, 0x7c, 3, 3];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    hello
};

/// Lets this process open so many files, if it may.
fn may_open(files: usize) -> bool {
    let own = std::process::id().to_string();
    let limit = format!("--nofile={files}:{files}");
    let raised = Command::new("prlimit").args(["--pid", &own, &limit]).status();
    raised.is_ok_and(|s| s.success())
}

/// KiB of memory that a process has now.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_strangers_cost_little_and_keep_no_member_out() {
    // The nodes are started with the limits that there were.
    let mut world = World::start();
    world.agree("before");
    if !may_open(STRANGERS + 2_000) {
        eprintln!("skipped: this process may not open {STRANGERS} sockets");
        return;
    }
    let name = "eu-1";
    let member = |world: &World| world.status()[name].clone();
    let before = member(&world);
    let address: SocketAddr = before["address"].as_str().unwrap().parse().unwrap();
    let process = world.nodes[name].id();
    let rss = resident(process);
    let mut most = rss;
    let mut strangers = Vec::with_capacity(STRANGERS);
    while strangers.len() < STRANGERS {
        for n in 0..500 {
            let connected = TcpStream::connect_timeout(&address, Duration::from_secs(10));
            let mut stranger = connected.expect("the door takes connections");
            // Who was pushed out already hears of it here.
            let _gone = match n % 3 {
                0 => Ok(()),
                1 => stranger.write_all(&[0xa5; 600]),
                _ => stranger.write_all(&HALF_HELLO),
            };
            strangers.push(stranger);
        }
        most = most.max(resident(process));
        // Meanwhile the cluster goes on.
        if strangers.len() % 2_500 == 0 {
            world.agree(&format!("with-{}", strangers.len()));
        }
    }
    let after = until("all strangers were told apart", || {
        let now = member(&world);
        let refused = |s: &Value| s["connections"]["refused"].as_u64();
        let strangers = refused(&now)? - refused(&before)?;
        // The last of them are waited for as long as a greeting may take.
        (strangers >= STRANGERS as u64).then_some(now)
    });
    most = most.max(resident(process));
    let grown = most - rss;
    eprintln!("{STRANGERS} strangers: from {rss} to {most} KiB at most, {grown} more");
    assert!(grown < GROWTH_KIB, "{grown} KiB");
    assert_eq!(after["members"], before["members"]);
    assert_eq!(after["voters"], before["voters"]);
    drop(strangers);
    world.alike();
}
