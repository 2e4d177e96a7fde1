//! What operators handed over becomes known to the cluster: first it is tested and on this disk.

use super::limits::PLAYBOOK_BYTES;
use super::message::Told;
use super::{Core, Error};
use detection::bundle::Bundle;
use regions::control_log::{Command, Hash, Reply};
use regions::rollout::auto_flag;
use serde_json::{Value, json};
use std::sync::Arc;
use threat::Text;

/// What a CACAO document says that it is.
const PLAYBOOK: &str = "playbook";

impl Core {
    /// Makes a bundle known; gives its version.
    pub(super) async fn register(
        &self,
        hash: Hash,
        bytes: Vec<u8>,
        auto: bool,
    ) -> Result<Told, String> {
        let bundle = self.test_and_keep(Arc::new(bytes)).await.map_err(|e| e.to_string())?;
        let bundle = bundle.map_err(|reason| format!("it does not pass its test: {reason}"))?;
        let evidence = Text::from(self::evidence(&bundle));
        let version = match self.agreed(Command::RegisterBundle { hash, evidence }).await? {
            Reply::Version(version) => version,
            other => return Err(format!("{other:?}")),
        };
        if auto {
            let (name, value) = (auto_flag(version), Some("operator".into()));
            self.agreed(Command::SetFlag { name, value }).await?;
        }
        Ok(Told::Version(version))
    }

    /// Makes a playbook known; gives its name and version.
    pub(super) async fn publish(&self, hash: Hash, bytes: Vec<u8>) -> Result<Told, String> {
        let name = playbook_name(&bytes)?;
        let known = self.needs.view.read(|log| {
            let known = log.playbooks().all().get(&*name);
            let newest = known.and_then(|p| p.versions.last_key_value());
            newest.map(|(version, hash)| (*version, *hash))
        });
        let version = match known.ok_or("this node is about to end")? {
            Some((version, known)) if known == hash => version,
            Some((version, _)) => version + 1,
            None => 1,
        };
        self.put(bytes).await.map_err(|e: Error| e.to_string())?;
        let named = Text::from(&*name);
        self.agreed(Command::PublishPlaybook { name: named, version, hash }).await?;
        Ok(Told::Published(name, version))
    }

    async fn agreed(&self, command: Command) -> Result<Reply, String> {
        match self.needs.view.propose(command).await {
            Ok(Reply::Refused(refusal)) => Err(refusal.to_string()),
            Ok(reply) => Ok(reply),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What a bundle says of itself, in few bytes.
fn evidence(bundle: &Bundle) -> String {
    let rows: u64 = bundle.classes.values().map(|c| c.rows).sum();
    // The beginning says where it is from; the rest is in the bundle.
    let origin: String = bundle.created_from.chars().take(80).collect();
    let id = format!("{:016x}", bundle.id());
    json!({ "id": id, "seed": bundle.seed, "classes": bundle.classes.len(), "rows": rows,
            "origin": origin })
    .to_string()
}

/// The name of a CACAO 2.0 playbook. What its steps mean is not looked at here.
///
/// # Errors
/// Why it is none, in words.
pub fn playbook_name(bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > PLAYBOOK_BYTES {
        return Err(format!("a playbook has at most {PLAYBOOK_BYTES} bytes"));
    }
    let document: Value =
        serde_json::from_slice(bytes).map_err(|e| format!("a playbook is JSON: {e}"))?;
    if document["type"] != PLAYBOOK {
        return Err("its \"type\" is not \"playbook\": it is no CACAO playbook".into());
    }
    if document["spec_version"] != "cacao-2.0" {
        return Err("its \"spec_version\" is not \"cacao-2.0\"".into());
    }
    match document["name"].as_str() {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err("it has no \"name\"".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_playbook_is_told() {
        let good = json!({"type": "playbook", "spec_version": "cacao-2.0", "name": "isolate"});
        assert_eq!(playbook_name(good.to_string().as_bytes()).unwrap(), "isolate");
        for (bad, told) in [
            ("[", "JSON"),
            ("{}", "type"),
            ("{\"type\":\"playbook\"}", "spec_version"),
            ("{\"type\":\"playbook\",\"spec_version\":\"cacao-2.0\",\"name\":\"\"}", "name"),
        ] {
            assert!(playbook_name(bad.as_bytes()).unwrap_err().contains(told), "{bad}");
        }
        let large = vec![b' '; PLAYBOOK_BYTES + 1];
        assert!(playbook_name(&large).unwrap_err().contains("at most"));
        // However deep it is.
        let deep = "[".repeat(PLAYBOOK_BYTES);
        assert!(playbook_name(deep.as_bytes()).is_err());
    }
}
