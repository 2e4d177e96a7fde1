//! What the free text of Linux's login services says: sshd, PAM, su, sudo, login, ftpd, klogind.
//!
//! Each shape is one function from text to [`Told`]; a message without a known shape tells
//! nothing. Texts are attacker-influenced (user names are): the last ` from ` counts, since the
//! service writes the address after the name.

use threat::event::{AuthActivity, Outcome};
use threat::{Host, Text};

/// What a message tells about an authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) activity: AuthActivity,
    pub(crate) outcome: Outcome,
    pub(crate) service: Option<Text>,
    pub(crate) method: Option<Text>,
    pub(crate) user: Option<Text>,
    pub(crate) host: Option<Host>,
    pub(crate) port: Option<u16>,
    pub(crate) invalid_user: bool,
    pub(crate) attempts: u32,
}

impl Told {
    fn new(activity: AuthActivity, outcome: Outcome) -> Self {
        Self {
            activity,
            outcome,
            service: None,
            method: None,
            user: None,
            host: None,
            port: None,
            invalid_user: false,
            attempts: 1,
        }
    }

    fn failure() -> Self {
        Self::new(AuthActivity::Logon, Outcome::Failure)
    }

    /// `USER from HOST [port N] [ssh2]`, where the user may be empty or hold spaces.
    fn peer(mut self, text: &str) -> Option<Self> {
        let (user, peer) =
            text.rsplit_once(" from ").or_else(|| Some(("", text.strip_prefix("from ")?)))?;
        let (user, invalid) = match user.strip_prefix("invalid user") {
            Some(rest) => (rest, true),
            None => (
                user.strip_prefix("illegal user").unwrap_or(user),
                user.starts_with("illegal user"),
            ),
        };
        self.invalid_user |= invalid;
        self.user = account(user);
        let mut words = peer.split_ascii_whitespace();
        self.host = words.next().map(|h| Host::parse(h.trim_end_matches([':', ','])));
        if words.next() == Some("port") {
            self.port = words.next().and_then(|p| p.parse().ok());
        }
        Some(self)
    }
}

/// A name that says something.
fn account(text: &str) -> Option<Text> {
    let text = text.trim();
    (!text.is_empty()).then(|| Text::from(text))
}

/// What `program`'s `message` tells.
pub(crate) fn read(program: &str, message: &str) -> Option<Told> {
    if let Some((times, inner)) = repeated(message) {
        let mut told = read(program, inner)?;
        told.attempts = told.attempts.saturating_mul(times);
        return Some(told);
    }
    let mut told = match program {
        "sudo" => sudo(message).or_else(|| pam(program, message)),
        "su" => su(message).or_else(|| pam(program, message)),
        _ => sshd(message).or_else(|| pam(program, message)).or_else(|| other(program, message)),
    }?;
    if told.service.is_none() {
        told.service = account(program);
    }
    Some(told)
}

/// `message repeated N times: [ inner]`
fn repeated(message: &str) -> Option<(u32, &str)> {
    let (times, inner) = message.strip_prefix("message repeated ")?.split_once(" times: [")?;
    Some((times.parse().ok()?, inner.strip_suffix(']')?.trim()))
}

fn sshd(message: &str) -> Option<Told> {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    if let Some(rest) = message.strip_prefix("Failed ") {
        let (method, rest) = rest.split_once(" for ")?;
        let told = Told { method: account(method), ..Told::failure() };
        return told.peer(rest);
    }
    if let Some(rest) = message.strip_prefix("Accepted ") {
        let (method, rest) = rest.split_once(" for ")?;
        let told = Told::new(AuthActivity::Logon, Outcome::Success);
        // a public key's words follow after `ssh2:`
        let rest = rest.split(" ssh2").next().unwrap_or(rest);
        return Told { method: account(method), ..told }.peer(rest);
    }
    let invalid = message.strip_prefix("Invalid user").or(message.strip_prefix("Illegal user"));
    if let Some(rest) = invalid {
        return Told { invalid_user: true, ..Told::failure() }.peer(rest);
    }
    let many = "maximum authentication attempts exceeded for ";
    message.strip_prefix(many).and_then(|rest| Told::failure().peer(rest))
}

/// `pam_unix(sshd:auth): ..`, or the same without the module where the tag names it.
fn pam(program: &str, message: &str) -> Option<Told> {
    let (service, message) = match message.strip_prefix("pam_") {
        Some(rest) => {
            let (module, rest) = rest.split_once("): ")?;
            let inside = module.split_once('(')?.1;
            (inside.split(':').next().unwrap_or(inside), rest)
        }
        None => (program, message),
    };
    let told = if let Some(fields) = message.strip_prefix("authentication failure; ") {
        pam_fields(Told::failure(), fields)
    } else if let Some(rest) = message.strip_prefix("PAM ") {
        // sshd's sum of the failures after the first
        let (times, rest) = rest.split_once(" more authentication failure")?;
        let told = Told { attempts: times.parse().ok().filter(|n| *n > 0)?, ..Told::failure() };
        pam_fields(told, rest)
    } else if let Some(rest) = message.strip_prefix("session opened for user ") {
        let switch = matches!(service, "su" | "su-l" | "sudo" | "runuser");
        let activity = if switch { AuthActivity::Switch } else { AuthActivity::Logon };
        Told { user: session_user(rest), ..Told::new(activity, Outcome::Success) }
    } else if let Some(rest) = message.strip_prefix("session closed for user ") {
        Told { user: session_user(rest), ..Told::new(AuthActivity::Logoff, Outcome::Success) }
    } else {
        return None;
    };
    Some(Told { service: account(service), ..told })
}

/// `name by ..`, `name(uid=0) by ..` or just the name.
fn session_user(text: &str) -> Option<Text> {
    let name = text.split(" by ").next().unwrap_or(text);
    account(name.split("(uid=").next().unwrap_or(name))
}

/// `logname= uid=0 .. rhost=HOST  user=NAME`
fn pam_fields(mut told: Told, text: &str) -> Told {
    for word in text.split_ascii_whitespace() {
        match word.split_once('=') {
            Some(("rhost", host)) if !host.is_empty() => told.host = Some(Host::parse(host)),
            Some(("user", user)) => told.user = account(user),
            _ => {}
        }
    }
    told
}

/// `FAILED SU (to root) alice on pts/0`, `(to root) alice on pts/0`, `Successful su for root by
/// alice`
fn su(message: &str) -> Option<Told> {
    let switch = |outcome, user| {
        Some(Told { user: account(user), ..Told::new(AuthActivity::Switch, outcome) })
    };
    let to = |rest: &'_ str| -> Option<String> {
        Some(rest.split_once(") ")?.1.split(" on ").next()?.to_owned())
    };
    if let Some(rest) = message.strip_prefix("FAILED SU (to ") {
        return switch(Outcome::Failure, &to(rest)?);
    }
    if let Some(rest) = message.strip_prefix("(to ") {
        return switch(Outcome::Success, &to(rest)?);
    }
    if let Some(rest) = message.strip_prefix("Successful su for ") {
        return switch(Outcome::Success, rest.split_once(" by ")?.1);
    }
    let rest = message.strip_prefix("FAILED su for ")?;
    switch(Outcome::Failure, rest.split_once(" by ")?.1)
}

/// `alice : TTY=.. ; PWD=.. ; USER=root ; COMMAND=..`, with a complaint first where it failed.
fn sudo(message: &str) -> Option<Told> {
    let (user, rest) = message.split_once(" : ")?;
    let mut told =
        Told { user: account(user), ..Told::new(AuthActivity::Switch, Outcome::Success) };
    if let Some((times, _)) = rest.split_once(" incorrect password attempt") {
        told.attempts = times.parse().ok().filter(|n| *n > 0)?;
        told.outcome = Outcome::Failure;
    } else if rest.contains("NOT in sudoers") || rest.contains("command not allowed") {
        told.outcome = Outcome::Failure;
    } else if !rest.contains("COMMAND=") {
        return None;
    }
    Some(told)
}

fn other(program: &str, message: &str) -> Option<Told> {
    match program {
        "klogind" | "rlogind" => {
            if let Some(rest) = message.strip_prefix("Authentication failed from ") {
                return Told { method: account("kerberos"), ..Told::failure() }
                    .peer(&format!(" from {rest}"));
            }
            message
                .starts_with("Kerberos authentication failed")
                .then(|| Told { method: account("kerberos"), ..Told::failure() })
        }
        "ftpd" => {
            let rest = message.strip_prefix("ANONYMOUS FTP LOGIN FROM ")?;
            let told = Told::new(AuthActivity::Logon, Outcome::Success);
            Told { user: account("anonymous"), ..told }
                .peer(&format!(" from {rest}"))
                .map(|t| Told { user: account("anonymous"), ..t })
        }
        "login" => {
            let rest = message.strip_prefix("FAILED LOGIN ")?;
            let user = rest.split_once(" FOR ")?.1.split(',').next()?;
            Some(Told { user: account(user.trim_matches('\'')), ..Told::failure() })
        }
        _ => None,
    }
}

/// The address that a message of another shape names after `from` or `by`.
pub(crate) fn peer_address(message: &str) -> Option<Host> {
    let after = |word: &str| {
        let rest = message.split_once(word)?.1;
        let token = rest.split_ascii_whitespace().next()?;
        token.trim_end_matches([':', ',', '.']).parse().ok().map(Host::Ip)
    };
    after(" from ").or_else(|| after(" by ")).or_else(|| {
        // `.. getaddrinfo for NAME [ADDRESS] failed`
        let inside = message.split_once('[')?.1.split_once(']')?.0;
        inside.parse().ok().map(Host::Ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(program: &str, message: &str) -> (Outcome, String, String, Option<u16>, bool, u32) {
        let t = read(program, message).unwrap_or_else(|| panic!("nothing told: {message}"));
        let host = t.host.map_or_else(String::new, |h| h.to_string());
        let user = t.user.map_or_else(String::new, |u| u.to_string());
        (t.outcome, user, host, t.port, t.invalid_user, t.attempts)
    }

    type Case =
        (&'static str, &'static str, (Outcome, &'static str, &'static str, Option<u16>, bool, u32));

    use Outcome::{Failure as F, Success as S};

    #[rustfmt::skip]
    const CASES: [Case; 13] = [
        ("sshd", "Failed password for root from 10.0.0.9 port 41 ssh2",
            (F, "root", "10.0.0.9", Some(41), false, 1)),
        ("sshd", "Failed none for invalid user  from 10.0.0.9 port 41 ssh2",
            (F, "", "10.0.0.9", Some(41), true, 1)),
        ("sshd", "Failed password for invalid user a from b from 10.0.0.9 port 41 ssh2",
            (F, "a from b", "10.0.0.9", Some(41), true, 1)),
        ("sshd", "message repeated 5 times: [ Failed password for root from 10.0.0.9 port 41 ssh2]",
            (F, "root", "10.0.0.9", Some(41), false, 5)),
        ("sshd", "Invalid user  0101 from 10.0.0.9",
            (F, "0101", "10.0.0.9", None, true, 1)),
        ("sshd", "Accepted publickey for eve from 2001:db8::1 port 50 ssh2: RSA SHA256:x from y",
            (S, "eve", "2001:db8::1", Some(50), false, 1)),
        ("sshd", "PAM 4 more authentication failures; uid=0 ruser= rhost=h.example.com  user=root",
            (F, "root", "h.example.com", None, false, 4)),
        ("sshd", "pam_unix(sshd:auth): authentication failure; uid=0 ruser= rhost=10.0.0.9 ",
            (F, "", "10.0.0.9", None, false, 1)),
        ("su", "session opened for user news by (uid=0)",
            (S, "news", "", None, false, 1)),
        ("su", "FAILED SU (to root) alice on pts/0",
            (F, "alice", "", None, false, 1)),
        ("sudo", "alice : 3 incorrect password attempts ; TTY=pts/0 ; USER=root ; COMMAND=/bin/ls",
            (F, "alice", "", None, false, 3)),
        ("klogind", "Authentication failed from 10.0.0.9 (10.0.0.9): Software caused abort ",
            (F, "", "10.0.0.9", None, false, 1)),
        ("ftpd", "ANONYMOUS FTP LOGIN FROM 10.0.0.9,  (anonymous)",
            (S, "anonymous", "10.0.0.9", None, false, 1)),
    ];

    #[test]
    fn each_shape_tells_who_from_where_and_how_often() {
        for (program, message, (outcome, user, host, port, invalid, n)) in CASES {
            let expected = (outcome, user.to_owned(), host.to_owned(), port, invalid, n);
            assert_eq!(told(program, message), expected, "{message}");
        }
    }

    #[test]
    fn other_messages_tell_nothing_and_may_name_an_address() {
        for (program, message) in [
            ("sshd", "pam_unix(sshd:auth): check pass; user unknown"),
            ("ftpd", "connection from 10.0.0.9 () at Sun Jul  3 10:05:25 2005 "),
            ("sshd", "Received disconnect from 10.0.0.9: 11: Bye Bye [preauth]"),
            ("sshd", "reverse mapping checking getaddrinfo for n.example [10.0.0.9] failed"),
        ] {
            assert_eq!(read(program, message), None, "{message}");
            let expected =
                (program != "sshd" || !message.contains("pam")).then(|| Host::parse("10.0.0.9"));
            assert_eq!(peer_address(message), expected, "{message}");
        }
    }

    #[test]
    fn a_repeat_count_cannot_overflow() {
        let m = "message repeated 4294967295 times: [ PAM 9 more authentication failures; rhost=a]";
        assert_eq!(told("sshd", m).5, u32::MAX);
    }
}
