//! The authentication log of Linux servers as sshd, PAM, sudo and cron write it, in the frame of
//! RFC 3164 (as in `/var/log/auth.log`, without a year) or RFC 5424.

use super::line::{hex, int, ip, iso, padded};
use super::{Label, Writer};
use crate::traffic::calendar::Civil;
use crate::traffic::record::{Auth, AuthEvent, Body, Record};
use std::io::{self, Write};
use std::net::IpAddr;
use threat::Timestamp;

/// The frame of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rfc {
    /// `Mar  2 09:00:00 host sshd[123]: ...`
    Rfc3164,
    /// `<86>1 2026-03-02T09:00:00.000000Z host sshd 123 - - ...`
    Rfc5424,
}

/// Writes authentication lines of all servers into one stream, as a log host would.
#[derive(Clone, Debug)]
pub struct AuthLog {
    rfc: Rfc,
    line: Vec<u8>,
}

impl AuthLog {
    /// With that frame.
    pub fn new(rfc: Rfc) -> Self {
        Self { rfc, line: Vec::with_capacity(256) }
    }
}

impl Writer for AuthLog {
    fn write(
        &mut self,
        out: &mut dyn Write,
        record: &Record,
        _labels: &[Label],
    ) -> io::Result<u64> {
        let Body::Auth(auth) = &record.body else { return Ok(0) };
        self.line.clear();
        frame(&mut self.line, self.rfc, record.time, auth);
        message(&mut self.line, auth);
        self.line.push(b'\n');
        out.write_all(&self.line).map(|()| 1)
    }
}

const fn program(event: &AuthEvent) -> &'static str {
    match event {
        AuthEvent::Opened { program, .. } | AuthEvent::Ended { program } => {
            match program.as_bytes() {
                b"cron" => "CRON",
                b"sudo" => "sudo",
                _ => "sshd",
            }
        }
        AuthEvent::Sudo { .. } => "sudo",
        _ => "sshd",
    }
}

fn frame(line: &mut Vec<u8>, rfc: Rfc, t: Timestamp, auth: &Auth) {
    const MONTHS: [&[u8]; 12] = [
        b"Jan ", b"Feb ", b"Mar ", b"Apr ", b"May ", b"Jun ", b"Jul ", b"Aug ", b"Sep ", b"Oct ",
        b"Nov ", b"Dec ",
    ];
    let program = program(&auth.event).as_bytes();
    if rfc == Rfc::Rfc5424 {
        // Facility 10 (authpriv); severity 6, or 5 (notice) for failures.
        let failed = matches!(auth.event, AuthEvent::PamFailure { .. } | AuthEvent::Sudo { .. });
        line.extend_from_slice(if failed { b"<85>1 " } else { b"<86>1 " });
        iso(line, t);
        line.extend_from_slice(b"Z ");
        line.extend_from_slice(auth.host.as_bytes());
        line.push(b' ');
        line.extend_from_slice(program);
        line.push(b' ');
        int(line, auth.pid.into());
        line.extend_from_slice(b" - - ");
        return;
    }
    let c = Civil::of(t);
    line.extend_from_slice(MONTHS[(c.month as usize + 11) % 12]);
    if c.day < 10 {
        line.push(b' ');
    }
    int(line, c.day.into());
    for (before, n) in [(b' ', c.hour), (b':', c.minute), (b':', c.second)] {
        line.push(before);
        padded(line, n.into(), 2);
    }
    line.push(b' ');
    line.extend_from_slice(auth.host.as_bytes());
    line.push(b' ');
    line.extend_from_slice(program);
    // sudo's own line has no process number.
    if !matches!(auth.event, AuthEvent::Sudo { .. }) {
        line.push(b'[');
        int(line, auth.pid.into());
        line.push(b']');
    }
    line.extend_from_slice(b": ");
}

fn from(line: &mut Vec<u8>, (addr, port): (IpAddr, u16)) {
    ip(line, addr);
    line.extend_from_slice(b" port ");
    int(line, port.into());
}

fn message(line: &mut Vec<u8>, auth: &Auth) {
    let user = auth.user.as_bytes();
    let put = |line: &mut Vec<u8>, parts: &[&[u8]]| {
        parts.iter().for_each(|p| line.extend_from_slice(p));
    };
    match &auth.event {
        AuthEvent::Failed { from: peer, invalid } => {
            let unknown: &[u8] = if *invalid { b"invalid user " } else { b"" };
            put(line, &[b"Failed password for ", unknown, user, b" from "]);
            from(line, *peer);
            line.extend_from_slice(b" ssh2");
        }
        AuthEvent::PamFailure { from: peer, invalid } => {
            line.extend_from_slice(b"pam_unix(sshd:auth): authentication failure; logname= ");
            line.extend_from_slice(b"uid=0 euid=0 tty=ssh ruser= rhost=");
            ip(line, *peer);
            // PAM names only accounts that exist, after two spaces.
            if *invalid { line.push(b' ') } else { put(line, &[b"  user=", user]) }
        }
        AuthEvent::InvalidUser { from: peer } => {
            put(line, &[b"Invalid user ", user, b" from "]);
            from(line, *peer);
        }
        AuthEvent::Accepted { from: peer, key } => {
            let method: &[u8] = if key.is_some() { b"publickey" } else { b"password" };
            put(line, &[b"Accepted ", method, b" for ", user, b" from "]);
            from(line, *peer);
            line.extend_from_slice(b" ssh2");
            if let Some(key) = key {
                line.extend_from_slice(b": ED25519 SHA256:");
                fingerprint(line, *key);
            }
        }
        AuthEvent::Expired => {
            let text = b"pam_unix(sshd:account): expired password for user ";
            put(line, &[text, user, b" (password aged)"]);
        }
        AuthEvent::Closed { from: peer, invalid } => {
            let kind: &[u8] = if *invalid { b"invalid" } else { b"authenticating" };
            put(line, &[b"Connection closed by ", kind, b" user ", user, b" "]);
            from(line, *peer);
            line.extend_from_slice(b" [preauth]");
        }
        AuthEvent::Opened { program, uid } => {
            put(line, &[b"pam_unix(", program.as_bytes(), b":session): session opened for user "]);
            put(line, &[user, b"(uid="]);
            int(line, u64::from(*uid));
            line.extend_from_slice(b") by (uid=0)");
        }
        AuthEvent::Ended { program } => {
            put(line, &[b"pam_unix(", program.as_bytes(), b":session): session closed for user "]);
            line.extend_from_slice(user);
        }
        AuthEvent::Sudo { command } => {
            let home: &[u8] = b" : TTY=pts/0 ; PWD=/home/";
            put(line, &[b" ", user, home, user, b" ; USER=root ; COMMAND=", command.as_bytes()]);
        }
    }
}

/// 43 characters of base 64, as OpenSSH prints a key's SHA-256. From 128 bits: enough to tell keys
/// apart.
fn fingerprint(line: &mut Vec<u8>, key: u128) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = Vec::with_capacity(96);
    hex(&mut digits, key, 16, None);
    for i in 0..43 {
        let two = (u64::from(digits[i % 32]) << 8) | u64::from(digits[(i * 7 + 3) % 32]);
        line.push(DIGITS[(threat::entropy::mix64(two + (i as u64 / 32)) & 63) as usize]);
    }
}
