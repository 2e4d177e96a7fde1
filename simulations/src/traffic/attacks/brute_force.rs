//! Guessing SSH passwords from outside: one address, or a botnet that shares a list; perhaps right
//! in the end, and then someone looks around.

use super::{Plan, Planned, host};
use crate::traffic::Behaviour;
use crate::traffic::client::Client;
use crate::traffic::conn::Shape;
use crate::traffic::draw::{between, lognormal};
use crate::traffic::label::Label;
use crate::traffic::login::Login;
use crate::traffic::net::Net;
use crate::traffic::world::{Machine, Role};
use threat::{Text, Timestamp};

/// What is guessed first everywhere; `root` as often as all others together.
const ACCOUNTS: [&str; 16] = [
    "admin", "test", "ubuntu", "oracle", "postgres", "user", "guest", "git", "ftpuser", "deploy",
    "pi", "hadoop", "www-data", "mysql", "jenkins", "support",
];
/// Tools that guess, as they name themselves.
const TOOLS: [&str; 4] =
    ["SSH-2.0-libssh2_1.10.0", "SSH-2.0-libssh_0.9.6", "SSH-2.0-Go", "SSH-2.0-paramiko_2.8.1"];
/// Guessing connections before the right one, at intensity 1.
const BEFORE_SUCCESS: f64 = 260.0;

pub(super) fn plan(plan: &mut Plan<'_>, sources: u16, success: bool, label: &mut Label) -> Planned {
    let target = plan.world.the(Role::Jump).clone();
    let clients: Vec<Client> = (0..sources)
        .map(|_| {
            let addr = plan.world.fresh(&mut plan.rng);
            label.actors.push(host(addr));
            plan.client(addr, true)
        })
        .collect();
    let lucky = plan.rng.below(plan.world.people.len());
    let victim = &plan.world.people[lucky];
    // A single source is fast; a botnet stays below what one address may do and is slower overall.
    let gap = if sources == 1 { 2.2 } else { 3.5 } / plan.intensity;
    let right = (success).then(|| (victim.name.clone(), victim.uid));
    // A short campaign that succeeds must get there before its end.
    let room = plan.end.since(plan.start) / gap * 0.8;
    let guesses = BEFORE_SUCCESS.min(room).max(1.0) as u32;
    let tool = TOOLS[plan.rng.below(TOOLS.len())];
    let guess = Guess { clients, target, end: plan.end, gap, made: 0, guesses, right, tool };
    vec![(plan.start, Box::new(guess))]
}

struct Guess {
    clients: Vec<Client>,
    target: Machine,
    end: Timestamp,
    gap: f64,
    made: u32,
    guesses: u32,
    right: Option<(Text, u32)>,
    tool: &'static str,
}

impl Guess {
    fn login(&mut self, at: usize) -> Login {
        let rng = &mut self.clients[at].rng;
        let root = rng.chance(0.5);
        let user: Text = if root { "root".into() } else { ACCOUNTS[rng.below(16)].into() };
        Login {
            user,
            uid: 0,
            key: None,
            invalid: !root,
            wrong: between(rng, 1, 3) as u32,
            succeeds: false,
            expired: false,
            pause: 0.25,
            shape: Shape::new(0, 0, 0.0),
            software: self.tool,
            sudo: 0,
        }
    }
}

impl Behaviour for Guess {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        if now >= self.end {
            return None;
        }
        let at = self.made as usize % self.clients.len();
        let mut login = self.login(at);
        self.made += 1;
        let done = self.made > self.guesses;
        let client = &mut self.clients[at];
        let found = self.right.as_ref().filter(|_| done);
        if let Some((user, uid)) = found {
            let minutes = lognormal(&mut client.rng, 5.0, 0.5);
            login = Login {
                user: user.clone(),
                uid: *uid,
                invalid: false,
                wrong: 0,
                succeeds: true,
                shape: Login::terminal(&mut client.rng, minutes),
                ..login
            };
        }
        login.run(net, client, now, &self.target);
        if found.is_some() {
            return None;
        }
        Some(now.plus_secs(lognormal(&mut client.rng, self.gap, 0.4)))
    }
}
