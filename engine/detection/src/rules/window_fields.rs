//! The numbers of an event's recent past that rules may ask for, as `window.<name>`.
//!
//! The features stage fills a [`WindowValues`] per event, by [`WindowField`]; rules read it by
//! name. The order is part of the contract and checked by a test. Nothing here counts anything.

/// Prefix of a window field's name in a rule.
pub const WINDOW_PREFIX: &str = "window.";

/// Every window field with its meaning, in the order of [`WindowField`] and of
/// [`WindowValues::values`].
pub const WINDOW_FIELDS: &[(&str, &str)] = &[
    ("src.flows_1m", "flows that the source started in the last minute"),
    ("src.hosts_1m", "distinct destination hosts of the source in the last minute"),
    ("src.ports_1m", "distinct destination (host, port) pairs of the source in the last minute"),
    (
        "src.ports_on_host_10m",
        "distinct ports that the source tried on this destination in 10 minutes",
    ),
    ("src.failed_1m", "failed attempts of the source in the last minute"),
    ("src.failed_ratio_1m", "share of the source's flows of the last minute that failed, 0 to 1"),
    ("src.hosts_10m", "distinct destination hosts of the source in 10 minutes"),
    ("src.failed_10m", "failed attempts of the source in 10 minutes"),
    ("src.bytes_out_1h", "bytes that the source sent in the last hour"),
    ("src.bytes_out_baseline", "mean bytes that the source sent per hour before, 0 when unknown"),
    ("src.age", "seconds since the source was first seen"),
    ("pair.count", "events of this source, destination and port so far"),
    ("pair.interval", "mean seconds between events of the pair"),
    ("pair.interval_cv", "coefficient of variation of those intervals"),
    ("pair.bytes_cv", "coefficient of variation of the bytes per event of the pair"),
    ("pair.age", "seconds since the pair was first seen"),
    ("dst.sources_10m", "distinct sources that reached this destination host in 10 minutes"),
    (
        "dst.failed_sources_10m",
        "distinct sources whose attempts at this destination failed in 10 minutes",
    ),
    ("dns.queries_10m", "DNS queries of the source in 10 minutes"),
    ("dns.nxdomain_10m", "queries of the source for names that do not exist in 10 minutes"),
    (
        "dns.nxdomain_ratio_10m",
        "share of the source's queries of 10 minutes that do not exist, 0 to 1",
    ),
    ("dns.domains_nx_10m", "distinct registered domains that did not exist in 10 minutes"),
    (
        "dns.subdomains_10m",
        "distinct subdomains of this registered domain asked by the source in 10 minutes",
    ),
    ("dns.query_entropy", "bits per character of the query's longest label"),
    ("dns.query_length", "characters of the query"),
    ("auth.failures_src_10m", "failed authentications from the source in 10 minutes"),
    ("auth.failures_src_1h", "failed authentications from the source in an hour"),
    ("auth.failures_user_10m", "failed authentications of the account in 10 minutes"),
    ("auth.users_src_10m", "distinct accounts tried from the source in 10 minutes"),
    (
        "auth.failed_sources_dst_10m",
        "distinct sources failing to authenticate at this destination in 10 minutes",
    ),
    (
        "auth.successes_after_failures",
        "failures from the source in 10 minutes before this success, 0 if not a success",
    ),
    ("auth.hosts_user_1h", "distinct destination hosts of this account in an hour"),
    ("auth.new_host_for_user", "1 if this account never was on this destination and has a history"),
    (
        "auth.hour_rarity",
        "-log2 of the share of this hour of day in the account's history, 0 when unknown",
    ),
    (
        "admin.hosts_1h",
        "distinct internal hosts this internal source reached on administration ports in an hour",
    ),
    ("admin.baseline", "the usual number of such hosts per hour"),
    (
        "http.hosts_ua_10m",
        "distinct hosts that the source asked with this user agent in 10 minutes",
    ),
    ("upload.ratio", "originator's bytes over responder's bytes plus one, of this flow"),
    ("pair.regularity", "share of the latest intervals within a third of their median"),
    (
        "auth.account_risk",
        "what the account's latest logons told against it, 0 where this one tells nothing",
    ),
    (
        "auth.travel_speed",
        "kilometres an hour from the place of the account's last logon, 0 where no place is named",
    ),
    ("auth.new_source_for_user", "1 if this account never came from this source and has a history"),
];

/// A window field by its place in [`WINDOW_FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum WindowField {
    /// `src.flows_1m`: flows that the source started in the last minute.
    SrcFlows1m,
    /// `src.hosts_1m`: distinct destination hosts of the source in the last minute.
    SrcHosts1m,
    /// `src.ports_1m`: distinct destination (host, port) pairs of the source in the last minute.
    SrcPorts1m,
    /// `src.ports_on_host_10m`: distinct ports that the source tried on this destination in 10
    /// minutes.
    SrcPortsOnHost10m,
    /// `src.failed_1m`: failed attempts of the source in the last minute.
    SrcFailed1m,
    /// `src.failed_ratio_1m`: share of the source's flows of the last minute that failed, 0 to 1.
    SrcFailedRatio1m,
    /// `src.hosts_10m`: distinct destination hosts of the source in 10 minutes.
    SrcHosts10m,
    /// `src.failed_10m`: failed attempts of the source in 10 minutes.
    SrcFailed10m,
    /// `src.bytes_out_1h`: bytes that the source sent in the last hour.
    SrcBytesOut1h,
    /// `src.bytes_out_baseline`: mean bytes that the source sent per hour before, 0 when unknown.
    SrcBytesOutBaseline,
    /// `src.age`: seconds since the source was first seen.
    SrcAge,
    /// `pair.count`: events of this source, destination and port so far.
    PairCount,
    /// `pair.interval`: mean seconds between events of the pair.
    PairInterval,
    /// `pair.interval_cv`: coefficient of variation of those intervals.
    PairIntervalCv,
    /// `pair.bytes_cv`: coefficient of variation of the bytes per event of the pair.
    PairBytesCv,
    /// `pair.age`: seconds since the pair was first seen.
    PairAge,
    /// `dst.sources_10m`: distinct sources that reached this destination host in 10 minutes.
    DstSources10m,
    /// `dst.failed_sources_10m`: distinct sources whose attempts at this destination failed in 10
    /// minutes.
    DstFailedSources10m,
    /// `dns.queries_10m`: DNS queries of the source in 10 minutes.
    DnsQueries10m,
    /// `dns.nxdomain_10m`: queries of the source for names that do not exist in 10 minutes.
    DnsNxdomain10m,
    /// `dns.nxdomain_ratio_10m`: share of the source's queries of 10 minutes that do not exist, 0
    /// to 1.
    DnsNxdomainRatio10m,
    /// `dns.domains_nx_10m`: distinct registered domains that did not exist in 10 minutes.
    DnsDomainsNx10m,
    /// `dns.subdomains_10m`: distinct subdomains of this registered domain asked by the source in
    /// 10 minutes.
    DnsSubdomains10m,
    /// `dns.query_entropy`: bits per character of the query's longest label.
    DnsQueryEntropy,
    /// `dns.query_length`: characters of the query.
    DnsQueryLength,
    /// `auth.failures_src_10m`: failed authentications from the source in 10 minutes.
    AuthFailuresSrc10m,
    /// `auth.failures_src_1h`: failed authentications from the source in an hour.
    AuthFailuresSrc1h,
    /// `auth.failures_user_10m`: failed authentications of the account in 10 minutes.
    AuthFailuresUser10m,
    /// `auth.users_src_10m`: distinct accounts tried from the source in 10 minutes.
    AuthUsersSrc10m,
    /// `auth.failed_sources_dst_10m`: distinct sources failing to authenticate at this destination
    /// in 10 minutes.
    AuthFailedSourcesDst10m,
    /// `auth.successes_after_failures`: failures from the source in 10 minutes before this success,
    /// 0 if not a success.
    AuthSuccessesAfterFailures,
    /// `auth.hosts_user_1h`: distinct destination hosts of this account in an hour.
    AuthHostsUser1h,
    /// `auth.new_host_for_user`: 1 if this account never was on this destination and has a history.
    AuthNewHostForUser,
    /// `auth.hour_rarity`: -log2 of the share of this hour of day in the account's history, 0 when
    /// unknown.
    AuthHourRarity,
    /// `admin.hosts_1h`: distinct internal hosts that this internal source reached on
    /// administration ports in an hour.
    AdminHosts1h,
    /// `admin.baseline`: the usual number of such hosts per hour.
    AdminBaseline,
    /// `http.hosts_ua_10m`: distinct hosts that the source asked with this user agent in 10
    /// minutes.
    HttpHostsUa10m,
    /// `upload.ratio`: originator's bytes over responder's bytes plus one, of this flow.
    UploadRatio,
    /// `pair.regularity`: share of the latest intervals within a third of their median.
    PairRegularity,
    /// `auth.account_risk`: what the account's latest logons told against it, this one included and
    /// earlier ones halved every day; 0 where this one tells nothing.
    AuthAccountRisk,
    /// `auth.travel_speed`: kilometres an hour from the place of the account's last logon, 0 where
    /// no place is named.
    AuthTravelSpeed,
    /// `auth.new_source_for_user`: 1 if this account never came from this source and has a history.
    AuthNewSourceForUser,
}

impl WindowField {
    /// All, in the order of [`WINDOW_FIELDS`].
    pub const ALL: [Self; WINDOW_FIELDS.len()] = [
        Self::SrcFlows1m,
        Self::SrcHosts1m,
        Self::SrcPorts1m,
        Self::SrcPortsOnHost10m,
        Self::SrcFailed1m,
        Self::SrcFailedRatio1m,
        Self::SrcHosts10m,
        Self::SrcFailed10m,
        Self::SrcBytesOut1h,
        Self::SrcBytesOutBaseline,
        Self::SrcAge,
        Self::PairCount,
        Self::PairInterval,
        Self::PairIntervalCv,
        Self::PairBytesCv,
        Self::PairAge,
        Self::DstSources10m,
        Self::DstFailedSources10m,
        Self::DnsQueries10m,
        Self::DnsNxdomain10m,
        Self::DnsNxdomainRatio10m,
        Self::DnsDomainsNx10m,
        Self::DnsSubdomains10m,
        Self::DnsQueryEntropy,
        Self::DnsQueryLength,
        Self::AuthFailuresSrc10m,
        Self::AuthFailuresSrc1h,
        Self::AuthFailuresUser10m,
        Self::AuthUsersSrc10m,
        Self::AuthFailedSourcesDst10m,
        Self::AuthSuccessesAfterFailures,
        Self::AuthHostsUser1h,
        Self::AuthNewHostForUser,
        Self::AuthHourRarity,
        Self::AdminHosts1h,
        Self::AdminBaseline,
        Self::HttpHostsUa10m,
        Self::UploadRatio,
        Self::PairRegularity,
        Self::AuthAccountRisk,
        Self::AuthTravelSpeed,
        Self::AuthNewSourceForUser,
    ];

    /// Its name in [`WINDOW_FIELDS`], without the prefix.
    pub const fn name(self) -> &'static str {
        WINDOW_FIELDS[self as usize].0
    }

    /// The field of that name, without the prefix.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }
}

/// One event's window fields, in the order of [`WINDOW_FIELDS`]; 0 where there is nothing to tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowValues {
    /// The values, each in its field's own unit.
    pub values: [f32; WINDOW_FIELDS.len()],
}

impl Default for WindowValues {
    fn default() -> Self {
        Self { values: [0.0; WINDOW_FIELDS.len()] }
    }
}

impl WindowValues {
    /// The value of a field.
    pub const fn get(&self, field: WindowField) -> f32 {
        self.values[field as usize]
    }

    /// Sets the value of a field.
    pub const fn set(&mut self, field: WindowField, value: f32) {
        self.values[field as usize] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SrcFlows1m` of `src.flows_1m`.
    fn variant_name(name: &str) -> String {
        name.split(['.', '_']).map(|part| part[..1].to_uppercase() + &part[1..]).collect()
    }

    #[test]
    fn enum_and_table_agree() {
        for (i, (name, meaning)) in WINDOW_FIELDS.iter().enumerate() {
            let field = WindowField::ALL[i];
            assert_eq!(field as usize, i);
            assert_eq!(format!("{field:?}"), variant_name(name));
            assert_eq!(WindowField::parse(name), Some(field));
            assert!(!meaning.is_empty());
        }
        assert_eq!(WindowField::parse("src.flows"), None);
    }

    #[test]
    fn values_are_set_by_field() {
        let mut w = WindowValues::default();
        w.set(WindowField::UploadRatio, 3.5);
        assert_eq!(w.get(WindowField::UploadRatio), 3.5);
        assert_eq!(w.values.iter().sum::<f32>(), 3.5);
    }
}
