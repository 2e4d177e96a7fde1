//! What the harness does as an operator would.

use cluster::control::{Ask, Told, ask};
use cluster::fabric::Fabric;
use regions::control_log::{Client, Request};
use regions::orders::{Order, command};
use std::time::Duration;

/// How long a change may take: others have to take over what the node owned.
const CHANGE_TIME: Duration = Duration::from_secs(15);

/// How often it is asked for.
const TRIES: u32 = 6;

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
