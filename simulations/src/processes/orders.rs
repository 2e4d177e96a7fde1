//! What the harness does as an operator would.

use cluster::control::{Ask, Told, ask, ask_leader};
use cluster::fabric::Fabric;
use regions::control_log::{Client, Request};
use regions::orders::{Order, command};
use std::time::Duration;

/// How long a change may take: others have to take over what the node owned.
const CHANGE_TIME: Duration = Duration::from_secs(15);

/// How often it is asked for.
const TRIES: u32 = 6;

/// Takes a member away that will never come back as who it was.
///
/// # Errors
/// Why it is still one.
pub async fn remove(fabric: &Fabric, addresses: &[String], name: &str) -> Result<(), String> {
    let mut why = String::new();
    for _ in 0..TRIES {
        match ask_leader(fabric, addresses, &Ask::Remove(name.into()), CHANGE_TIME).await {
            Ok(Told::Done) => return Ok(()),
            // A try before this one did it.
            Ok(Told::Refused(reason)) if reason.contains("no node") => return Ok(()),
            Ok(other) => why = format!("{other:?}"),
            Err(error) => why = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(why)
}

/// Notes an order for a region in the control log, or takes it back; whether it was done.
pub async fn order(
    fabric: &Fabric,
    addresses: &[String],
    region: &str,
    order: Option<Order>,
) -> bool {
    let nonce = node::host::cluster_files::random();
    let client = Client { opened: 0, nonce };
    let request = Request { client, sequence: 1, command: command(region, order) };
    let asked = Ask::Propose(Box::new(request));
    for address in addresses.iter().cycle().take(addresses.len() * TRIES as usize) {
        if let Ok(Told::Reply(reply)) = ask(fabric, address, &asked, CHANGE_TIME / TRIES).await {
            return reply.refusal().is_none();
        }
    }
    false
}
