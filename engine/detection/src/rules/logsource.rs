//! Which rules an event meets: Sigma's log sources mapped to what the event is.
//!
//! A rule's `product`, `service` and `category` must each match where given. Products and services
//! are the event's origin; categories follow from its class, and on Windows from channel and event
//! id (Sigma's taxonomy for Sysmon, Security 4688 and PowerShell). `product: watchfire` matches
//! whatever product wrote the event, its categories are our event classes and `any`. Routes are
//! worked out once per kind of event and kept; nothing is evaluated here.

use std::sync::OnceLock;
use threat::event::Value;
use threat::{Event, EventClass};

/// The product name under which a rule reads events of every product.
pub const OWN_PRODUCT: &str = "watchfire";

/// A log source that rules ask for, lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub product: Option<String>,
    pub service: Option<String>,
    pub category: Option<String>,
}

impl Source {
    pub fn of(logsource: &rsigma_parser::LogSource) -> Self {
        let lower = |s: &Option<String>| s.as_ref().map(|s| s.to_ascii_lowercase());
        Self {
            product: lower(&logsource.product),
            service: lower(&logsource.service),
            category: lower(&logsource.category),
        }
    }
}

/// Sigma categories by Windows service and event id.
const WINDOWS_CATEGORIES: &[(&str, i64, &[&str])] = &[
    ("sysmon", 1, &["process_creation"]),
    ("sysmon", 2, &["file_change"]),
    ("sysmon", 3, &["network_connection"]),
    ("sysmon", 4, &["sysmon_status"]),
    ("sysmon", 5, &["process_termination"]),
    ("sysmon", 6, &["driver_load"]),
    ("sysmon", 7, &["image_load"]),
    ("sysmon", 8, &["create_remote_thread"]),
    ("sysmon", 9, &["raw_access_thread"]),
    ("sysmon", 10, &["process_access"]),
    ("sysmon", 11, &["file_event"]),
    ("sysmon", 12, &["registry_event", "registry_add", "registry_delete"]),
    ("sysmon", 13, &["registry_event", "registry_set"]),
    ("sysmon", 14, &["registry_event", "registry_rename"]),
    ("sysmon", 15, &["create_stream_hash"]),
    ("sysmon", 16, &["sysmon_status"]),
    ("sysmon", 17, &["pipe_created"]),
    ("sysmon", 18, &["pipe_created"]),
    ("sysmon", 19, &["wmi_event"]),
    ("sysmon", 20, &["wmi_event"]),
    ("sysmon", 21, &["wmi_event"]),
    ("sysmon", 22, &["dns_query"]),
    ("sysmon", 23, &["file_delete"]),
    ("sysmon", 24, &["clipboard_change"]),
    ("sysmon", 25, &["process_tampering"]),
    ("sysmon", 26, &["file_delete", "file_delete_detected"]),
    ("sysmon", 27, &["file_block_executable"]),
    ("sysmon", 28, &["file_block_shredding"]),
    ("sysmon", 29, &["file_executable_detected"]),
    ("sysmon", 255, &["sysmon_error"]),
    ("security", 4688, &["process_creation"]),
    ("powershell", 4103, &["ps_module"]),
    ("powershell", 4104, &["ps_script"]),
    ("powershell-classic", 400, &["ps_classic_start"]),
    ("powershell-classic", 600, &["ps_classic_provider_start"]),
    ("powershell-classic", 800, &["ps_classic_script"]),
];

/// Windows channels, lower case, and the service that Sigma calls each.
const CHANNELS: &[(&str, &str)] = &[
    ("application", "application"),
    ("microsoft-servicebus-client", "microsoft-servicebus-client"),
    ("microsoft-windows-applocker/exe and dll", "applocker"),
    ("microsoft-windows-applocker/msi and script", "applocker"),
    ("microsoft-windows-applocker/packaged app-deployment", "applocker"),
    ("microsoft-windows-applocker/packaged app-execution", "applocker"),
    ("microsoft-windows-appmodel-runtime/admin", "appmodel-runtime"),
    ("microsoft-windows-appxdeploymentserver/operational", "appxdeployment-server"),
    ("microsoft-windows-appxpackagingom/operational", "appxpackaging-om"),
    ("microsoft-windows-bits-client/operational", "bits-client"),
    ("microsoft-windows-capi2/operational", "capi2"),
    (
        "microsoft-windows-certificateservicesclient-lifecycle-system/operational",
        "certificateservicesclient-lifecycle-system",
    ),
    ("microsoft-windows-codeintegrity/operational", "codeintegrity-operational"),
    ("microsoft-windows-diagnosis-scripted/operational", "diagnosis-scripted"),
    ("microsoft-windows-dns client events/operational", "dns-client"),
    ("microsoft-windows-dns-client/operational", "dns-client"),
    ("dns server", "dns-server"),
    ("microsoft-windows-dns-server/audit", "dns-server-audit"),
    ("microsoft-windows-driverframeworks-usermode/operational", "driver-framework"),
    ("microsoft-iis-configuration/operational", "iis-configuration"),
    ("microsoft-windows-ldap-client/debug", "ldap"),
    ("microsoft-windows-lsa/operational", "lsa-server"),
    ("microsoft-windows-ntlm/operational", "ntlm"),
    ("microsoft-windows-powershell/operational", "powershell"),
    ("microsoft-windows-security-mitigations/kernel mode", "security-mitigations"),
    ("microsoft-windows-security-mitigations/user mode", "security-mitigations"),
    ("microsoft-windows-shell-core/operational", "shell-core"),
    ("microsoft-windows-smbclient/connectivity", "smbclient-connectivity"),
    ("microsoft-windows-smbclient/security", "smbclient-security"),
    ("microsoft-windows-smbserver/connectivity", "smbserver-connectivity"),
    ("microsoft-windows-sysmon/operational", "sysmon"),
    ("microsoft-windows-taskscheduler/operational", "taskscheduler"),
    (
        "microsoft-windows-terminalservices-localsessionmanager/operational",
        "terminalservices-localsessionmanager",
    ),
    ("microsoft-windows-windows defender/operational", "windefend"),
    ("microsoft-windows-windows firewall with advanced security/firewall", "firewall-as"),
    ("microsoft-windows-wmi-activity/operational", "wmi"),
    ("msexchange management", "msexchange-management"),
    ("openssh/operational", "openssh"),
    ("powershellcore/operational", "powershell"),
    ("security", "security"),
    ("system", "system"),
    ("windows powershell", "powershell-classic"),
];

/// Services of Linux whose records Sigma also calls `auth`.
const LINUX_AUTH: &[&str] = &["auth", "authpriv", "sshd", "su", "sudo", "login", "gdm", "ftpd"];

/// The Sigma categories of a class of events, of whatever product.
const fn class_categories(class: EventClass) -> &'static [&'static str] {
    match class {
        EventClass::Flow => &["firewall", "network"],
        EventClass::Dns => &["dns"],
        EventClass::Http => &["proxy", "webserver"],
        _ => &[],
    }
}

/// What an event is to Sigma.
struct Facets<'a> {
    product: &'a str,
    service: &'a str,
    class: EventClass,
    windows: &'static [&'static str],
}

impl Facets<'_> {
    fn is_category(&self, category: &str) -> bool {
        class_categories(self.class).contains(&category) || self.windows.contains(&category)
    }

    fn is_service(&self, service: &str) -> bool {
        self.service == service
            || (self.product == "linux"
                && match service {
                    "auth" => LINUX_AUTH.contains(&self.service),
                    "syslog" => self.service != "auditd",
                    _ => false,
                })
    }

    fn meets(&self, source: &Source) -> bool {
        if source.product.as_deref() == Some(OWN_PRODUCT) {
            return source.service.is_none()
                && source.category.as_deref().is_none_or(|c| c == "any" || c == self.class.name());
        }
        source.product.as_deref().is_none_or(|p| p == self.product)
            && source.service.as_deref().is_none_or(|s| self.is_service(s))
            && source.category.as_deref().is_none_or(|c| self.is_category(c))
    }
}

/// Routes of every kind of event to the log sources whose rules it meets.
#[derive(Debug)]
pub(super) struct Router {
    sources: Vec<Source>,
    /// Sorted; the last place stands for every other product.
    products: Vec<String>,
    /// Sorted; the last place stands for every other service.
    services: Vec<String>,
    /// Windows services, sorted by lower-case channel or name, with their place in `services`.
    channels: Vec<(String, usize)>,
    /// By product, service and class.
    routes: Vec<OnceLock<Box<[u16]>>>,
    /// By line of [`WINDOWS_CATEGORIES`].
    windows_routes: Vec<OnceLock<Box<[u16]>>>,
}

fn place(sorted: &[String], name: &str) -> usize {
    sorted.binary_search_by(|s| s.as_str().cmp(name)).unwrap_or(sorted.len())
}

fn sorted_unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Router {
    /// A router to these log sources.
    pub fn new(sources: Vec<Source>) -> Self {
        let products = sorted_unique(
            sources
                .iter()
                .filter_map(|s| s.product.clone())
                .chain(["linux", "windows"].map(str::to_owned)),
        );
        let services = sorted_unique(
            sources
                .iter()
                .filter_map(|s| s.service.clone())
                .chain(LINUX_AUTH.iter().chain(&["auditd"]).map(|&s| s.to_owned()))
                .chain(CHANNELS.iter().map(|(_, s)| (*s).to_owned())),
        );
        let mut channels: Vec<(String, usize)> = CHANNELS
            .iter()
            .flat_map(|&(channel, s)| [(channel, s), (s, s)])
            .map(|(name, service)| (name.to_owned(), place(&services, service)))
            .collect();
        channels.sort_unstable();
        channels.dedup();
        let cells = (products.len() + 1) * (services.len() + 1) * EventClass::ALL.len();
        let empty = |n| std::iter::repeat_with(OnceLock::new).take(n).collect();
        let windows_routes = empty(WINDOWS_CATEGORIES.len());
        Self { sources, products, services, channels, routes: empty(cells), windows_routes }
    }

    /// The log sources that an event meets, by their place, ascending.
    pub fn route(&self, event: &Event) -> &[u16] {
        let product = place(&self.products, &event.origin.product);
        if event.origin.product == "windows" {
            return self.windows_route(event, product);
        }
        self.cell(product, place(&self.services, &event.origin.service), event.class())
    }

    fn windows_route(&self, event: &Event, product: usize) -> &[u16] {
        let channel = event.extra("Channel").and_then(Value::as_str);
        let name = channel.unwrap_or(&event.origin.service);
        let service = self
            .channels
            .binary_search_by(|(c, _)| c.bytes().cmp(name.bytes().map(|b| b.to_ascii_lowercase())))
            .map_or_else(|_| place(&self.services, name), |i| self.channels[i].1);
        let service_name = self.services.get(service).map_or("", String::as_str);
        let line = event_id(event).and_then(|id| {
            WINDOWS_CATEGORIES.iter().position(|&(s, i, _)| i == id && s == service_name)
        });
        match line {
            None => self.cell(product, service, event.class()),
            Some(line) => self.windows_routes[line].get_or_init(|| {
                let windows = WINDOWS_CATEGORIES[line].2;
                let class = EventClass::Generic;
                self.met(&Facets { product: "windows", service: service_name, class, windows })
            }),
        }
    }

    fn cell(&self, product: usize, service: usize, class: EventClass) -> &[u16] {
        let cell = (product * (self.services.len() + 1) + service) * EventClass::ALL.len()
            + class as usize;
        self.routes[cell].get_or_init(|| {
            let product = self.products.get(product).map_or("", String::as_str);
            let service = self.services.get(service).map_or("", String::as_str);
            self.met(&Facets { product, service, class, windows: &[] })
        })
    }

    fn met(&self, facets: &Facets<'_>) -> Box<[u16]> {
        self.sources
            .iter()
            .enumerate()
            .filter(|(_, source)| facets.meets(source))
            .filter_map(|(i, _)| u16::try_from(i).ok())
            .collect()
    }
}

fn event_id(event: &Event) -> Option<i64> {
    match event.extra("EventID")? {
        Value::Int(id) => Some(*id),
        Value::Text(id) => id.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::event::{Authentication, Flow, Origin};
    use threat::{Body, Timestamp};

    fn source(product: &str, service: &str, category: &str) -> Source {
        let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
        Source { product: some(product), service: some(service), category: some(category) }
    }

    fn event(product: &str, service: &str, body: Body) -> Event {
        Event::new(Timestamp::default(), Origin::new(product, service), body)
    }

    fn windows(channel: &str, id: i64) -> Event {
        let mut e = event("windows", "eventlog", Body::Generic);
        e.extra = vec![
            ("Channel".into(), Value::Text(channel.into())),
            ("EventID".into(), Value::Int(id)),
        ];
        e
    }

    #[test]
    fn windows_events_find_their_category_and_service() {
        let router = Router::new(vec![
            source("windows", "", "process_creation"),
            source("windows", "security", ""),
            source("windows", "", "registry_set"),
            source("windows", "", "registry_event"),
            source("linux", "", "process_creation"),
            source("windows", "", ""),
        ]);
        let sysmon = "Microsoft-Windows-Sysmon/Operational";
        assert_eq!(router.route(&windows(sysmon, 1)), [0, 5]);
        assert_eq!(router.route(&windows(sysmon, 13)), [2, 3, 5]);
        assert_eq!(router.route(&windows("Security", 4688)), [0, 1, 5]);
        assert_eq!(router.route(&windows("Security", 4625)), [1, 5]);
        assert_eq!(router.route(&event("windows", "security", Body::Generic)), [1, 5]);
        assert_eq!(router.route(&windows("Unheard/Of", 1)), [5]);
    }

    #[test]
    fn classes_and_own_product_cross_products() {
        let router = Router::new(vec![
            source("zeek", "conn", ""),
            source("", "", "firewall"),
            source(OWN_PRODUCT, "", "flow"),
            source(OWN_PRODUCT, "", "any"),
            source("linux", "auth", ""),
            source("linux", "syslog", ""),
            source("zeek", "http", ""),
        ]);
        let flow = || Body::Flow(Flow::default());
        assert_eq!(router.route(&event("zeek", "conn", flow())), [0, 1, 2, 3]);
        assert_eq!(router.route(&event("csv", "whatever", flow())), [1, 2, 3]);
        let auth = Body::Authentication(Box::<Authentication>::default());
        assert_eq!(router.route(&event("linux", "sshd", auth)), [3, 4, 5]);
        assert_eq!(router.route(&event("linux", "cron", Body::Generic)), [3, 5]);
        assert_eq!(router.route(&event("linux", "auditd", Body::Generic)), [3]);
    }

    #[test]
    fn every_category_line_names_a_known_service() {
        for (service, ..) in WINDOWS_CATEGORIES {
            assert!(CHANNELS.iter().any(|(_, s)| s == service), "{service}");
        }
    }
}
