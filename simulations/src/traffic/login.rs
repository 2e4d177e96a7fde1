//! An SSH login as three logs see it: the connection, the SSH session, and the server's own
//! authentication log. People, jobs and attackers all log in here.

use super::client::Client;
use super::conn::Shape;
use super::draw::{between, lognormal};
use super::net::Net;
use super::record::{AuthEvent, Body, Ssh};
use super::world::{Machine, is_local};
use threat::Text;
use threat::Timestamp;
use threat::event::ConnState;

/// One login, or a try.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub user: Text,
    /// The account's number; without meaning where `invalid`.
    pub uid: u32,
    /// Logs in by key: its fingerprint. Never a password then.
    pub key: Option<u128>,
    /// No such account.
    pub invalid: bool,
    /// Wrong passwords before the right one, or before giving up.
    pub wrong: u32,
    /// Gets in after these.
    pub succeeds: bool,
    /// The password has expired and is changed on the way in.
    pub expired: bool,
    /// Seconds between passwords: a person types, a tool does not.
    pub pause: f64,
    /// What happens once inside.
    pub shape: Shape,
    /// Client software.
    pub software: &'static str,
    /// Commands as root while inside, at most.
    pub sudo: usize,
}

/// The usual client of a Linux machine.
pub(super) const OPENSSH: &str = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u5";
/// The usual client of a Windows machine.
pub(super) const PUTTY: &str = "SSH-2.0-PuTTY_Release_0.81";
const SERVER: &str = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3";

const COMMANDS: [&str; 8] = [
    "/usr/bin/systemctl restart nginx",
    "/usr/bin/apt update",
    "/usr/bin/apt upgrade -y",
    "/usr/bin/journalctl -u app -n 200",
    "/usr/bin/tail -f /var/log/syslog",
    "/usr/bin/vi /etc/nginx/nginx.conf",
    "/usr/bin/docker ps",
    "/usr/sbin/reboot --dry-run",
];

impl Login {
    /// By key at the first try, with that session.
    pub(super) fn keyed(user: &Text, uid: u32, key: u128, shape: Shape) -> Self {
        Self {
            user: user.clone(),
            uid,
            key: Some(key),
            invalid: false,
            wrong: 0,
            succeeds: true,
            expired: false,
            pause: 4.0,
            shape,
            software: OPENSSH,
            sudo: 0,
        }
    }

    /// A terminal session of that many minutes: keystrokes out, screens back.
    pub(super) fn terminal(rng: &mut threat::entropy::Rng, minutes: f64) -> Shape {
        let turns = (minutes * lognormal(rng, 18.0, 0.5)).clamp(4.0, 20_000.0) as u64;
        Shape {
            turns,
            idle: minutes * 60.0,
            greets: true,
            ..Shape::new(turns * 44, turns * between(rng, 80, 420), 0.0)
        }
    }

    /// Lets `client` try; the end of the connection.
    pub(super) fn run(
        &self,
        net: &mut Net,
        client: &mut Client,
        at: Timestamp,
        server: &Machine,
    ) -> Timestamp {
        let waits: Vec<f64> =
            (0..self.wrong).map(|_| 1.6 + lognormal(&mut client.rng, self.pause, 0.3)).collect();
        let tried: f64 = waits.iter().sum();
        let mut shape = Shape { greets: true, ..self.shape };
        shape.turns += 6 + u64::from(self.wrong);
        shape.up += 1_900 + 140 * u64::from(self.wrong);
        shape.down += 2_300 + 90 * u64::from(self.wrong);
        shape.idle = tried + if self.succeeds { 0.4 + self.shape.idle } else { 0.3 };
        let state = match client.rng.below(20) {
            0 => ConnState::RSTO,
            1 if !self.succeeds => ConnState::RSTR,
            _ => ConnState::SF,
        };
        let (id, end) = client.tcp(net, at, (server.addr, 22), Some("ssh"), state, shape);
        let ssh = Ssh {
            id,
            success: Some(self.succeeds),
            attempts: self.wrong + u32::from(self.succeeds),
            client: self.software,
            server: SERVER,
            host_key: u128::from(threat::Host::Ip(server.addr).hash64())
                .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        };
        net.emit(at.plus_secs(0.05), client.campaign, Body::Ssh(Box::new(ssh)));
        if server.linux {
            self.write_auth(net, client, (at, end), server, (id.orig_port, &waits));
        }
        end
    }

    fn write_auth(
        &self,
        net: &mut Net,
        client: &mut Client,
        (at, end): (Timestamp, Timestamp),
        server: &Machine,
        (port, waits): (u16, &[f64]),
    ) {
        let pid = between(&mut client.rng, 1_200, 65_000) as u32;
        let (campaign, from) = (client.campaign, (client.addr, port));
        let invalid = self.invalid;
        let mut log = |t: Timestamp, event| {
            net.auth(t, campaign, (&server.name, pid), &self.user, event);
        };
        let mut t = at.plus_secs(0.25);
        if invalid {
            log(t, AuthEvent::InvalidUser { from });
        }
        for (i, wait) in waits.iter().enumerate() {
            t = t.plus_secs(wait - 1.6);
            if i == 0 {
                log(t, AuthEvent::PamFailure { from: client.addr, invalid });
            }
            // PAM answers a wrong password slowly.
            t = t.plus_secs(1.6);
            log(t, AuthEvent::Failed { from, invalid });
        }
        if !self.succeeds {
            log(end, AuthEvent::Closed { from, invalid });
            return;
        }
        if self.expired {
            log(t.plus_secs(0.02), AuthEvent::Expired);
        }
        log(t.plus_secs(0.06), AuthEvent::Accepted { from, key: self.key });
        log(t.plus_secs(0.07), AuthEvent::Opened { program: "sshd", uid: self.uid });
        log(end, AuthEvent::Ended { program: "sshd" });
        let inside = end.since(t);
        for _ in 0..self.sudo {
            let when = t.plus_secs(1.0 + client.rng.range(0.02, 0.9) * inside);
            if when >= end {
                continue;
            }
            let command = COMMANDS[client.rng.below(COMMANDS.len())];
            let who = (&server.name, pid + 7);
            net.auth(when, campaign, who, &self.user, AuthEvent::Sudo { command });
            let opened = AuthEvent::Opened { program: "sudo", uid: 0 };
            net.auth(when.plus_secs(0.001), campaign, who, &"root".into(), opened);
            let done = when.plus_secs(client.rng.range(0.05, 3.0));
            net.auth(done, campaign, who, &"root".into(), AuthEvent::Ended { program: "sudo" });
        }
    }
}

/// Client software of a machine that may be outside.
pub(super) fn software(client: &Client) -> &'static str {
    if client.linux || !is_local(client.addr) { OPENSSH } else { PUTTY }
}
