//! A small deterministic connection log: offices talking to a few servers, and a port scan now and
//! then. Not made to look real; made so that a test knows every line of it.

use std::fmt::Write as _;

/// What stands at the top of every file.
pub const HEADER: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n\
    #unset_field\t-\n#path\tconn\n\
    #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t\
    orig_bytes\tresp_bytes\tconn_state\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n\
    #types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\t\
    count\tcount\tcount\tcount\n";

/// Flows between the beginnings of two scans.
pub const SCAN_EVERY: u64 = 2_000;

/// Flows of one scan.
pub const SCAN_FLOWS: u64 = 100;

/// Writes flows one after the other, `step` seconds of event time apart.
pub struct Conn {
    next: u64,
    time: f64,
    step: f64,
    /// Scans are in it.
    scans: bool,
    random: u64,
}

impl Conn {
    /// Begins at a Monday morning.
    pub fn new(seed: u64, step: f64, scans: bool) -> Self {
        Self { next: 0, time: 1_767_600_000.0, step, scans, random: seed | 1 }
    }

    fn below(&mut self, n: u64) -> u64 {
        // xorshift64 (Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % n
    }

    /// Appends the next flow.
    pub fn line(&mut self, out: &mut String) {
        let (n, phase) = (self.next, self.next % SCAN_EVERY);
        self.next += 1;
        if self.scans && n >= SCAN_EVERY && phase < SCAN_FLOWS {
            self.time += 0.01;
            let (time, from, port) = (self.time, 40_000 + phase, 1 + phase);
            let _never = writeln!(
                out,
                "{time:.6}\tS{n}\t10.0.9.66\t{from}\t10.0.1.9\t{port}\ttcp\t-\t-\t-\t-\t\
                 S0\t1\t60\t0\t0",
            );
            return;
        }
        self.time += self.step;
        let (host, server) = (2 + self.below(40), self.below(4));
        let (port, service) = [(443, "ssl"), (80, "http"), (443, "ssl"), (25, "smtp")]
            [usize::try_from(server).unwrap_or(0)];
        let (from, duration) = (49_152 + self.below(16_000), 0.05 + self.below(2_000) as f64 / 1e3);
        let (up, down) = (300 + self.below(1_500), 2_000 + self.below(40_000));
        let (sent, got) = (6 + up / 500, 6 + down / 1_400);
        let (time, up_ip, down_ip) = (self.time, up + sent * 40, down + got * 40);
        let _never = writeln!(
            out,
            "{time:.6}\tC{n}\t10.0.0.{host}\t{from}\t10.0.1.{server}\t{port}\ttcp\t{service}\t\
             {duration:.6}\t{up}\t{down}\tSF\t{sent}\t{up_ip}\t{got}\t{down_ip}",
        );
    }

    /// A whole log of `flows` flows.
    pub fn log(seed: u64, step: f64, scans: bool, flows: u64) -> String {
        let (mut conn, mut out) = (Self::new(seed, step, scans), HEADER.to_owned());
        (0..flows).for_each(|_| conn.line(&mut out));
        out
    }
}
