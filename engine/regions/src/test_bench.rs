//! A control log for tests.

use crate::control_log::{Client, Command, ControlLog, Reply, Request};

/// A log with one client that numbers its requests.
#[derive(Clone, Debug, Default)]
pub struct Bench {
    pub log: ControlLog,
    sequence: u64,
}

impl Bench {
    /// Nodes by number and region, all admitted.
    pub fn of(nodes: &[(u64, &str)]) -> Self {
        let mut bench = Self::default();
        for (node, region) in nodes {
            bench.run(Command::AddRegion { region: (*region).into() });
            let (name, address) = (format!("n{node}").into(), "h:1".into());
            let region = (*region).into();
            bench.run(Command::JoinNode { node: *node, name, region, address, incarnation: 1 });
            bench.run(Command::AdmitNode { node: *node });
        }
        bench
    }

    /// Applies a command.
    pub fn ask(&mut self, command: Command) -> Reply {
        self.sequence += 1;
        let request = Request { client: Client::default(), sequence: self.sequence, command };
        self.log.apply(self.sequence, &request)
    }

    /// Applies a command, which is not refused.
    pub fn run(&mut self, command: Command) -> Reply {
        let reply = self.ask(command.clone());
        assert_eq!(reply.refusal(), None, "{command:?}");
        reply
    }

    /// Makes a workload of one shard.
    pub fn define(&mut self, workload: u32, home: &str, failover: &str) {
        let (home, failover) = (home.into(), failover.into());
        self.run(Command::DefineWorkload { workload, shards: [workload].into(), home, failover });
    }

    /// Gives a workload to somebody, and gives the epoch.
    pub fn assign(&mut self, workload: u32, owner: Option<u64>) -> u64 {
        let expected_epoch = self.log.workloads().all()[&workload].epoch;
        self.run(Command::AssignWorkload { workload, owner, expected_epoch });
        self.log.workloads().all()[&workload].epoch
    }
}
