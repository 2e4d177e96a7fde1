//! A node that joins a cluster of processes with a token.

use crate::cluster::{Up, ports, run, text, until};
use crate::command::watchfire;
use node::host::joining::Token;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Output, Stdio};

/// An invitation that waits, and its token.
struct Invited {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    token: String,
}

impl Invited {
    fn start(at: &Path, folder: &str, more: &[&str]) -> Self {
        let mut child = watchfire(at)
            .args(["ca", "invite", "eu-2", "--region", "eu", "--folder", folder])
            .args(["--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let token = loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "it printed no token");
            if let Some(token) = line.trim().strip_prefix("watchfire join ") {
                break token.to_owned();
            }
        };
        Self { child, out, token }
    }

    /// How it ends, and what it says.
    fn ends(mut self) -> (bool, String) {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        (output.status.success(), said + &text(&output.stderr))
    }
}

fn join(at: &Path, token: &str, folder: &str) -> Output {
    run(at, &["join", token, "--folder", folder, "--listen", "127.0.0.1:1", "--prepare"])
}

/// Joining fails with these words, and nothing is written.
fn refused(at: &Path, token: &str, told: &str) {
    let output = join(at, token, "nothing");
    let error = text(&output.stderr);
    assert!(!output.status.success() && error.contains(told), "{told}: {error}");
    assert!(!at.join("nothing").exists(), "{told}: something was written");
}

#[test]
fn a_node_joins_with_a_token_that_is_good_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    let port = ports(35);
    let _up = Up::start(at, port, &["--regions", "eu"]);
    let own = format!("127.0.0.1:{}", port + 1);
    let invited = Invited::start(at, "watchfire-cluster", &[]);
    let token = invited.token.clone();
    let mut node = watchfire(at)
        .args(["join", &token, "--folder", "new", "--listen", &own, "--while-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (done, said) = invited.ends();
    assert!(done && said.contains("eu-2 has its certificate"), "{said}");
    // The first again: nobody is there any more. Meanwhile the node comes to be a member.
    refused(at, &token, "does not answer");
    until("it is a member", || {
        let all = run(at, &["cluster", "members", "--output", "json"]);
        let all: Value = serde_json::from_slice(&all.stdout).ok()?;
        let member = all.as_object()?.values().find(|m| m["name"] == "eu-2")?.clone();
        (member["admitted"] == true && member["address"] == *own).then_some(())
    });
    let mode = fs::metadata(at.join("new/eu-2.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let check = run(at, &["config", "check", "new/node.toml"]);
    assert!(check.status.success(), "{}", text(&check.stderr));
    // The key was made there: the authority's folder has none of it.
    assert!(!at.join("watchfire-cluster/eu-2.key").exists());
    drop(node.stdin.take());
    let ended = node.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", text(&ended.stderr));
}

#[test]
fn what_is_wrong_with_a_token_is_told_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    assert!(run(at, &["ca", "init", "test"]).status.success());
    let lone = run(at, &["ca", "invite", "eu-2", "--region", "eu"]);
    assert!(text(&lone.stderr).contains("--seeds"), "{}", text(&lone.stderr));
    let seeds = ["--seeds", "127.0.0.1:9"];
    let invited = Invited::start(at, "ca", &seeds);
    let token = invited.token.clone();
    refused(at, &token[..token.len() - 2], "not whole");
    refused(at, "hello", "not whole");
    // Garbage at its door, and a connection that says nothing.
    let door = token.parse::<Token>().unwrap().address;
    let mut garbage = TcpStream::connect(&door).unwrap();
    garbage.write_all(&[0x16; 4_000]).unwrap();
    let _silent = TcpStream::connect(&door).unwrap();
    let changed = |change: &dyn Fn(&mut Token)| {
        let mut parsed: Token = token.parse().unwrap();
        change(&mut parsed);
        parsed.to_string()
    };
    refused(at, &changed(&|t| t.pin[3] ^= 1), "not the authority");
    refused(at, &changed(&|t| t.secret.0[3] ^= 1), "not the one of the invitation");
    // Somebody else listens there.
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let elsewhere = other.local_addr().unwrap().to_string();
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    refused(at, &changed(&|t| t.address.clone_from(&elsewhere)), "not the authority");
    stranger.join().unwrap();
    // It is good still, once.
    let output = join(at, &token, "good");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("spiffe://test/node/eu/eu-2"));
    assert!(invited.ends().0);
    let there = join(at, &token, "good");
    assert!(text(&there.stderr).contains("is there already"), "{}", text(&there.stderr));
    // Wrong tokens end an invitation.
    let invited = Invited::start(at, "ca", &seeds);
    let mut wrong: Token = invited.token.parse().unwrap();
    wrong.secret.0[0] ^= 1;
    let wrong = wrong.to_string();
    for _ in 0..5 {
        refused(at, &wrong, "not the one of the invitation");
    }
    let (done, said) = invited.ends();
    assert!(!done && said.contains("somebody else tries to join"), "{said}");
    // Nobody comes in time, and who comes later is told so.
    let invited = Invited::start(at, "ca", &["--seeds", "127.0.0.1:9", "--for", "1s"]);
    let late = invited.token.clone();
    let (done, said) = invited.ends();
    assert!(!done && said.contains("did not come in time"), "{said}");
    until("a second has passed", || {
        let output = join(at, &late, "nothing");
        text(&output.stderr).contains("time was over").then_some(())
    });
    assert!(!at.join("nothing").exists());
}
