//! The configuration of a node and of an operator, as TOML.

use cluster::consensus::Profile;
use cluster::fabric::Identity;
use cluster::replication::limits::RETENTION;
use detection::calibration::Budget;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The longest round trip that can be played, in milliseconds: what a satellite takes.
const WAN_MS: u64 = 1_000;

/// Seconds of a day.
const DAY: u64 = 24 * 3_600;

/// The longest time for which closed threats are kept, in days: ten years, which auditors ask for.
const RETENTION_DAYS: u32 = 3_660;

/// What a node is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The cluster's name: in lower case, as in certificates.
    pub cluster: String,
    /// The node's region.
    pub region: String,
    /// The node's name, unique in the cluster.
    pub name: String,
    /// Where it listens, `host:port`.
    pub listen: String,
    /// Where others reach it, if it is not where it listens.
    pub advertise: Option<String>,
    /// The folder of its state.
    pub data: PathBuf,
    /// Nodes that know the cluster; none for the one that founds it.
    #[serde(default)]
    pub seeds: Vec<String>,
    /// Whether it votes; three or five nodes of a cluster do, in different regions.
    #[serde(default)]
    pub votes: bool,
    /// Timeouts of consensus, the same on all nodes: `lan`, `wan80` or `wan150`, by the round trip
    /// between the voters that are farthest apart.
    #[serde(default = "lan")]
    pub profile: String,
    /// Its certificate.
    pub tls: Tls,
    /// Plays a round trip to other regions of so many milliseconds, to try several datacenters on
    /// one machine.
    #[serde(default)]
    pub wan_ms: u64,
    /// How it judges events.
    #[serde(default)]
    pub detection: Detection,
    /// What it keeps of threats.
    #[serde(default)]
    pub threats: Threats,
}

/// How a node judges events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detection {
    /// How many false verdicts are accepted, as `detect --budget` takes it.
    pub budget: Budget,
    /// Sigma rules beside the shipped ones: files or folders.
    pub rules: Vec<PathBuf>,
    /// Where findings are appended, as OCSF.
    pub output: Option<PathBuf>,
    /// Threads' worth of entities; 0 for one a processor.
    pub shards: usize,
    /// Seed of training.
    pub seed: u64,
}

impl Default for Detection {
    fn default() -> Self {
        let (rules, output) = (Vec::new(), None);
        Self { budget: Budget::PerMillion(10.0), rules, output, shards: 0, seed: 0 }
    }
}

/// What a node keeps of the threats that all share.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Threats {
    /// Days for which closed threats are kept; what the node that leads says counts.
    pub retention_days: u32,
}

impl Default for Threats {
    fn default() -> Self {
        Self { retention_days: (RETENTION.as_secs() / DAY) as u32 }
    }
}

/// Files of certificates, PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The authorities to believe.
    pub authorities: PathBuf,
    /// What this side shows.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What an operator's commands are told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// Nodes to ask, `host:port`.
    pub nodes: Vec<String>,
    /// The operator's certificate.
    pub tls: Tls,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, or a field that is not known, missing or of another type; with line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value that cannot be.
    #[error("{field}: {reason}")]
    Value {
        /// Which field.
        field: &'static str,
        /// Why.
        reason: String,
    },
}

fn lan() -> String {
    "lan".into()
}

impl NodeConfig {
    /// Reads a configuration and checks its values.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text)?;
        let value = |field, reason: String| Error::Value { field, reason };
        let (cluster, region, name) = (&config.cluster, &config.region, &config.name);
        Identity::node(cluster, region, name)
            .map_err(|e| value("cluster, region, name", e.to_string()))?;
        address("listen", &config.listen)?;
        if let Some(advertised) = &config.advertise {
            address("advertise", advertised)?;
        }
        config.seeds.iter().try_for_each(|s| address("seeds", s))?;
        if config.profile().is_none() {
            let reason = format!("{:?} is none of lan, wan80 and wan150", config.profile);
            return Err(value("profile", reason));
        }
        if config.wan_ms > WAN_MS {
            let reason = format!("{} is over {WAN_MS}, what a satellite takes", config.wan_ms);
            return Err(value("wan_ms", reason));
        }
        let days = config.threats.retention_days;
        if !(1..=RETENTION_DAYS).contains(&days) {
            let reason = format!("{days} days: closed threats are kept for 1 to {RETENTION_DAYS}");
            return Err(value("threats.retention_days", reason));
        }
        Ok(config)
    }

    /// Timeouts of consensus.
    pub fn profile(&self) -> Option<Profile> {
        Profile::named(&self.profile)
    }

    /// The time for which closed threats are kept.
    pub fn retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.threats.retention_days) * DAY)
    }

    /// The time that is played one way to another region.
    pub const fn one_way(&self) -> Duration {
        Duration::from_micros(self.wan_ms * 500)
    }
}

impl OperatorConfig {
    /// Reads a configuration and checks its values.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text)?;
        config.nodes.iter().try_for_each(|n| address("nodes", n))?;
        if config.nodes.is_empty() {
            return Err(Error::Value { field: "nodes", reason: "name at least one".into() });
        }
        Ok(config)
    }
}

/// Checks that it is `host:port`.
pub(crate) fn address(field: &'static str, text: &str) -> Result<(), Error> {
    let port = text.rsplit_once(':').and_then(|(host, port)| {
        (!host.is_empty()).then_some(())?;
        port.parse::<u16>().ok()
    });
    match port {
        Some(_) => Ok(()),
        None => Err(Error::Value { field, reason: format!("{text:?} is not HOST:PORT") }),
    }
}

/// A node's configuration with comments, as `watchfire up` and `config template` write it.
#[derive(Clone, Debug, Serialize)]
pub struct Template {
    /// The cluster's name.
    pub cluster: String,
    /// The node's region.
    pub region: String,
    /// The node's name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// Where others reach it, if not there.
    pub advertise: Option<String>,
    /// Nodes that know the cluster.
    pub seeds: Vec<String>,
    /// Whether it votes.
    pub votes: bool,
    /// Timeouts.
    pub profile: String,
    /// The round trip to play.
    pub wan_ms: u64,
}

impl Template {
    /// The text of the file. Certificates lie beside it, under the node's name.
    pub fn text(&self) -> String {
        let Self { cluster, region, name, listen, seeds, votes, profile, .. } = self;
        let seeds: Vec<String> = seeds.iter().map(|s| format!("{s:?}")).collect();
        let wan = match self.wan_ms {
            0 => String::new(),
            ms => format!("wan_ms = {ms}  # round trip to other regions, played\n"),
        };
        let advertise = match &self.advertise {
            None => "# advertise = \"HOST:PORT\"  # where others reach it, if not there".into(),
            Some(address) => format!("advertise = {address:?}  # where others reach it"),
        };
        let days = Threats::default().retention_days;
        format!(
            "# A node of a Watchfire cluster: `watchfire node --config THIS`\n\
             cluster = {cluster:?}\n\
             region = {region:?}\n\
             name = {name:?}  # unique; as in the certificate\n\
             listen = {listen:?}\n\
             {advertise}\n\
             data = \"{name}\"  # folder of its state\n\
             seeds = [{}]  # nodes that know the cluster; none for the one that founds it\n\
             votes = {votes}  # three or five nodes do, in different regions\n\
             profile = {profile:?}  # lan, wan80, wan150: the round trip between voters\n\
             {wan}\n\
             [tls]\n\
             authorities = \"ca.pem\"\n\
             certificate = \"{name}.pem\"\n\
             key = \"{name}.key\"\n\
             \n\
             [detection]\n\
             budget = \"10/million\"  # false verdicts that are accepted; or N/day, N%\n\
             # rules = [\"rules\"]  # Sigma, beside the shipped ones\n\
             # output = \"findings.jsonl\"  # findings as OCSF, one a line\n\
             \n\
             [threats]\n\
             retention_days = {days}  # closed threats go after so long; the same on all nodes\n",
            seeds.join(", ")
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn template(region: &str, name: &str) -> Template {
        Template {
            cluster: "demo".into(),
            region: region.into(),
            name: name.into(),
            listen: "127.0.0.1:7801".into(),
            advertise: None,
            seeds: vec!["127.0.0.1:7802".into()],
            votes: true,
            profile: "wan80".into(),
            wan_ms: 80,
        }
    }

    pub(crate) fn config(region: &str, name: &str) -> NodeConfig {
        NodeConfig::parse(&template(region, name).text()).unwrap()
    }

    #[test]
    fn a_template_is_a_configuration() {
        let config = config("eu", "eu-1");
        assert_eq!((&*config.name, config.votes, config.wan_ms), ("eu-1", true, 80));
        assert_eq!(config.profile(), Some(Profile::WAN_80));
        assert_eq!(config.one_way(), Duration::from_millis(40));
        assert_eq!(config.seeds, ["127.0.0.1:7802"]);
        assert_eq!(config.retention(), RETENTION);
    }

    #[test]
    fn errors_say_where_and_what() {
        let good = template("eu", "eu-1").text();
        for (from, to, told) in [
            ("votes = true", "vote = true", "line 9"),
            ("votes = true", "votes = 3", "expected a boolean"),
            (
                "listen = \"127.0.0.1:7801\"",
                "listen = \"here\"",
                "listen: \"here\" is not HOST:PORT",
            ),
            ("profile = \"wan80\"", "profile = \"moon\"", "none of lan, wan80 and wan150"),
            ("region = \"eu\"", "region = \"E U\"", "lower-case"),
            ("wan_ms = 80", "wan_ms = 9000", "satellite"),
            ("cluster = \"demo\"\n", "", "missing field `cluster`"),
            ("days = 30", "days = 0", "threats.retention_days: 0 days"),
        ] {
            assert!(good.contains(from), "{from}");
            let error = NodeConfig::parse(&good.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(told), "{told}: {error}");
        }
        let none = "nodes = []\n[tls]\nauthorities = \"a\"\ncertificate = \"b\"\nkey = \"c\"\n";
        assert!(OperatorConfig::parse(none).is_err());
        assert!(OperatorConfig::parse(&none.replace("[]", "[\"a:1\"]")).is_ok());
    }
}
