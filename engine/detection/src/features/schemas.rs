//! The feature schema of every class of events. Changing a column's meaning or order raises the
//! version.

use crate::schema::{ACCOUNT, Category, Group, Group::*, HOUR, Numeric, RISK, Schema, WEEKDAY};
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::EventClass;

/// Raised when any built-in schema changes.
pub const VERSION: u32 = 2;

type NumericLine = (&'static str, Group, &'static str, bool);
type CategoryLine = (&'static str, Group);

/// The ten core dimensions of a flow are the first ten: eight volumes and two mean packet sizes.
const FLOW: &[NumericLine] = &[
    ("duration", Core, "seconds", true),
    ("orig_bytes", Core, "bytes", true),
    ("resp_bytes", Core, "bytes", true),
    ("missed_bytes", Core, "bytes", true),
    ("orig_packets", Core, "packets", true),
    ("orig_ip_bytes", Core, "bytes", true),
    ("resp_packets", Core, "packets", true),
    ("resp_ip_bytes", Core, "bytes", true),
    ("orig_packet_size", Core, "bytes", false),
    ("resp_packet_size", Core, "bytes", false),
    ("history_length", Packet, "letters", false),
    ("upload_ratio", Distribution, "ratio", false),
    ("flows_1m", Behavioural, "count", false),
    ("failed_ratio_1m", Behavioural, "ratio", false),
    ("hosts_10m", Topology, "count", false),
    ("ports_1m", Topology, "count", false),
    ("pair_interval", Temporal, "seconds", false),
    ("pair_interval_cv", Temporal, "ratio", false),
];
const FLOW_KINDS: &[CategoryLine] = &[
    ("protocol", Core),
    ("service", Core),
    ("state", Core),
    ("history", Packet),
    ("port", Topology),
];

const DNS: &[NumericLine] = &[
    ("query_length", Core, "characters", true),
    ("labels", Core, "count", true),
    ("query_entropy", Distribution, "bits", true),
    ("digit_ratio", Distribution, "ratio", true),
    ("answers", Core, "count", true),
    ("rtt", Temporal, "seconds", false),
    ("queries_10m", Behavioural, "count", false),
    ("nxdomain_ratio_10m", Behavioural, "ratio", false),
    ("subdomains_10m", Distribution, "count", false),
];
const DNS_KINDS: &[CategoryLine] = &[("qtype", Core), ("rcode", Core), ("tld", Topology)];

const HTTP: &[NumericLine] = &[
    ("uri_length", Core, "characters", true),
    ("request_bytes", Core, "bytes", true),
    ("response_bytes", Core, "bytes", true),
    ("host_length", Core, "characters", true),
    ("uri_entropy", Distribution, "bits", true),
    ("user_agent_length", Core, "characters", true),
    ("hosts_ua_10m", Topology, "count", false),
];
const HTTP_KINDS: &[CategoryLine] = &[
    ("method", Core),
    ("status", Core),
    ("mime", Core),
    ("user_agent", Behavioural),
    ("port", Topology),
];

const TLS: &[NumericLine] = &[
    ("server_name_length", Core, "characters", true),
    ("server_name_entropy", Distribution, "bits", true),
    ("subject_length", Core, "characters", true),
    ("pair_interval_cv", Temporal, "ratio", false),
];
const TLS_KINDS: &[CategoryLine] = &[
    ("version", Core),
    ("cipher", Core),
    ("established", Core),
    ("validation", Core),
    ("issuer", Topology),
    ("ja3", Behavioural),
    ("port", Topology),
];

const AUTHENTICATION: &[NumericLine] = &[
    ("attempts", Core, "count", true),
    ("failures_src_10m", Behavioural, "count", false),
    ("failures_user_10m", Behavioural, "count", false),
    ("users_src_10m", Topology, "count", false),
    ("hosts_user_1h", Topology, "count", false),
    ("hour_rarity", Temporal, "bits", false),
    (RISK, Behavioural, "nats", false),
];
const AUTHENTICATION_KINDS: &[CategoryLine] = &[
    ("activity", Core),
    ("outcome", Core),
    ("service", Core),
    ("method", Core),
    ("invalid_user", Core),
    ("client", Behavioural),
    (ACCOUNT, Identity),
    ("account_host", Identity),
    ("account_source", Identity),
    ("account_country", Identity),
    ("account_doing", Identity),
    (HOUR, Identity),
    (WEEKDAY, Identity),
];

const RECORD: &[NumericLine] =
    &[("record_length", Core, "bytes", true), ("fields", Core, "count", true)];
const RECORD_KINDS: &[CategoryLine] =
    &[("service", Core), ("name", Core), ("kind", Core), ("shape", Packet), ("port", Topology)];

fn lines(class: EventClass) -> (&'static [NumericLine], &'static [CategoryLine], /* tokens */ u16) {
    match class {
        EventClass::Flow => (FLOW, FLOW_KINDS, super::tokens::FLOW_TOKENS),
        EventClass::Dns => (DNS, DNS_KINDS, super::tokens::DNS_TOKENS),
        EventClass::Http => (HTTP, HTTP_KINDS, super::tokens::HTTP_TOKENS),
        EventClass::Tls => (TLS, TLS_KINDS, super::tokens::TLS_TOKENS),
        EventClass::Authentication => {
            (AUTHENTICATION, AUTHENTICATION_KINDS, super::tokens::AUTHENTICATION_TOKENS)
        }
        EventClass::Finding | EventClass::File | EventClass::Anomaly | EventClass::Generic => {
            (RECORD, RECORD_KINDS, 0)
        }
    }
}

/// The schema of a class.
pub fn of(class: EventClass) -> Schema {
    let (numeric, categories, tokens) = lines(class);
    Schema {
        name: class.name().to_owned(),
        version: VERSION,
        numeric: numeric
            .iter()
            .map(|&(name, group, unit, volume)| Numeric {
                name: name.to_owned(),
                group,
                unit: unit.to_owned(),
                volume,
            })
            .collect(),
        categories: categories
            .iter()
            .map(|&(name, group)| Category { name: name.to_owned(), group })
            .collect(),
        tokens,
    }
}

/// All built-in schemas, shared.
pub fn all() -> BTreeMap<EventClass, Arc<Schema>> {
    EventClass::ALL.into_iter().map(|class| (class, Arc::new(of(class)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn columns_have_distinct_names_and_every_schema_has_a_volume() {
        for class in EventClass::ALL {
            let s = of(class);
            let names: BTreeSet<_> = (0..s.width()).map(|i| s.column(i)).collect();
            assert_eq!(names.len(), s.width(), "{class:?}");
            assert!(!s.volumes().is_empty(), "{class:?}");
        }
        assert_eq!(FLOW.iter().filter(|n| n.1 == Core).count(), 10, "the ten core dimensions");
    }

    #[test]
    fn hashes_tell_schemas_apart() {
        let hashes: BTreeSet<_> = EventClass::ALL.into_iter().map(|c| of(c).hash()).collect();
        assert_eq!(hashes.len(), EventClass::ALL.len());
    }
}
