//! How time goes on: what is due arrives, hosts have their turns, faults begin and end.

use super::net::{LAG, TICK, lock};
use super::seen::seen;
use super::{AGAIN, InProcess};
use crate::journal::What;
use crate::plan::Micros;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl InProcess {
    /// Goes on by one tick: what is due arrives, then each process has its turn.
    pub(super) fn tick(&mut self) {
        self.now += TICK;
        let began = seen(&self.common.seen).began.unwrap_or_default();
        self.turns(began + self.now);
        self.clients.step(&self.common.net);
        for at in 0..self.hosts.len() {
            let told = &self.hosts[at].told;
            let failed = told.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
            let fatal = told.fatal.swap(false, Ordering::Relaxed);
            if self.hosts[at].is_up() && (fatal || failed.is_some()) {
                let restart = self.faults.disk_restart.remove(&at);
                if restart.is_some() {
                    self.note(at, What::Sometimes("disk-error-ended-node"));
                }
                self.end(at, false, restart.unwrap_or(Some(AGAIN)));
            }
        }
        while let Some((&(at, order), _)) = self.due.first_key_value() {
            if at > self.now {
                break;
            }
            if let Some(due) = self.due.remove(&(at, order)) {
                self.happens(due);
            }
        }
    }

    /// What is due arrives, and hosts have their turns: each for which something arrived, and all
    /// when something looks at them or they had none for long.
    fn turns(&mut self, now: Micros) {
        let net = &self.common.net;
        let looked = self.due.first_key_value().is_some_and(|((at, _), _)| *at <= self.now);
        let all = looked || now.is_multiple_of(LAG);
        self.woken.fill(all);
        if all {
            self.hosts.iter_mut().for_each(|host| host.step(now, net));
        }
        loop {
            // Apart, so that the net is not locked while a host has its turn.
            let late = lock(net).advance(now, &self.woken);
            let Some(late) = late else { break };
            self.hosts[late].step(now, net);
            self.woken[late] = true;
        }
        for (host, woken) in self.hosts.iter_mut().zip(&self.woken) {
            if *woken {
                host.step(now + TICK, net);
            }
        }
    }

    pub(super) fn run_until(&mut self, end: Micros) {
        while self.now < end {
            self.tick();
        }
    }
}
