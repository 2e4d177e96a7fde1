//! Windows events as JSON lines: flat objects with `EventID`, and the nested form of EVTX exports
//! (`{"Event": {"System": .., "EventData": ..}}`), whose data fields are lifted to plain names.
//!
//! Names in `extra` are the ones that Sigma rules use (`Image`, `CommandLine`, `Provider_Name`),
//! so fields that also fill a typed place (account, address) stay there too. Channels become
//! services by Sigma's own names. Logon records of the security log are authentications; the rest
//! is generic.

use crate::error::Error;
use crate::json::{self, Fields, Json};
use crate::record::{Draft, Parsed};
use std::borrow::Cow;
use threat::event::{AuthActivity, Authentication, Body, Outcome};
use threat::{Host, Text};

/// An event object, or an id with something that only Windows has.
pub(crate) fn claims(fields: &Fields<'_>) -> bool {
    if let Some(Json::Map(event)) = json::get(fields, "Event") {
        return json::has(event, "System");
    }
    let marks = ["Channel", "Provider_Name", "Provider", "ProviderName", "SourceName", "Computer"];
    json::has(fields, "EventID") && marks.iter().any(|m| json::has(fields, m))
}

/// Reads one record.
pub(crate) fn read(fields: Fields<'_>) -> Result<Parsed, Error> {
    if !claims(&fields) {
        return Err(Error::Foreign("a Windows event"));
    }
    let mut flat = Vec::with_capacity(fields.len() * 2);
    for (name, value) in fields {
        match (name.as_ref(), value) {
            ("Event", Json::Map(parts)) => lift(parts, &mut flat),
            (_, value) => system_field(name, value, &mut flat),
        }
    }
    let event_id = json::get(&flat, "EventID").and_then(|v| v.count().ok().flatten());
    if let (Some(id), Some((_, v))) = (event_id, flat.iter_mut().find(|(n, _)| n == "EventID")) {
        *v = Json::Int(id as i64);
    }
    let mut draft = Draft::new(body(event_id, &flat));
    for name in ["SystemTime", "TimeCreated", "@timestamp", "EventTime", "timestamp"] {
        if let (None, Some(i)) = (draft.time, flat.iter().position(|(n, _)| n == name)) {
            draft.time = Some(flat.remove(i).1.time(0)?);
            draft.typed += 1;
        }
    }
    if let (None, Some(utc)) = (draft.time, json::get(&flat, "UtcTime")) {
        draft.time = Some(utc.time(0)?);
    }
    people_and_places(&mut draft, &flat)?;
    let service = service(&flat);
    draft.keep_all(flat);
    draft.finish("windows", &service)
}

/// The parts of an `Event` object.
fn lift<'a>(parts: Fields<'a>, flat: &mut Fields<'a>) {
    for (part, value) in parts {
        match (part.as_ref(), value) {
            ("System", Json::Map(members)) => {
                for (name, value) in members {
                    system_field(name, value, flat);
                }
            }
            ("EventData", Json::Map(members)) => data(members, flat),
            // one object named after the event holds the fields
            ("UserData", Json::Map(members)) => {
                for (name, value) in members {
                    match value {
                        Json::Map(inner) => data(inner, flat),
                        value => flat.push((name, value)),
                    }
                }
            }
            (_, Json::Null) | ("#attributes", _) => {}
            (_, value) => flat.push((part, value)),
        }
    }
}

/// Attributes that exporters put beside an element's text.
const ATTRIBUTES: [&str; 2] = ["#attributes", "@attributes"];

/// A system element: its text under its own name, its attributes as `Element_Attribute`. The time
/// of creation loses its wrapping.
fn system_field<'a>(name: Cow<'a, str>, value: Json<'a>, flat: &mut Fields<'a>) {
    let Json::Map(members) = value else {
        let provider = matches!(name.as_ref(), "Provider" | "ProviderName" | "SourceName");
        if provider && !json::has(flat, "Provider_Name") {
            flat.push((Cow::Borrowed("Provider_Name"), value.clone()));
        }
        if value != Json::Null && name != "Provider" {
            flat.push((name, value));
        }
        return;
    };
    if matches!(name.as_ref(), "EventData" | "UserData") {
        return data(members, flat);
    }
    for (inner, value) in members {
        match (inner.as_ref(), value) {
            (a, Json::Map(attributes)) if ATTRIBUTES.contains(&a) => {
                for (attribute, value) in attributes {
                    flat.push((attribute_name(&name, &attribute), value));
                }
            }
            ("#text" | "Value", value) => flat.push((name.clone(), value)),
            (_, value) => flat.push((attribute_name(&name, &inner), value)),
        }
    }
}

fn attribute_name<'a>(element: &str, attribute: &str) -> Cow<'a, str> {
    let attribute = attribute.trim_start_matches('@');
    match (element, attribute) {
        ("TimeCreated", "SystemTime") => Cow::Borrowed("SystemTime"),
        ("Security", "UserID") => Cow::Borrowed("Security_UserID"),
        _ => Cow::Owned(format!("{element}_{attribute}")),
    }
}

/// Data fields under plain names; `Data` lists of named texts are unpacked.
fn data<'a>(members: Fields<'a>, flat: &mut Fields<'a>) {
    for (name, value) in members {
        match (name.as_ref(), value) {
            (a, _) if ATTRIBUTES.contains(&a) => {}
            ("Data", Json::List(items)) => {
                let mut unnamed = Vec::new();
                for item in items {
                    match named(item) {
                        Ok(field) => flat.push(field),
                        Err(value) => unnamed.push(value),
                    }
                }
                if !unnamed.is_empty() {
                    flat.push((name, Json::List(unnamed)));
                }
            }
            (_, Json::Null) => {}
            (_, value) => flat.push((name, value)),
        }
    }
}

/// `{"#attributes": {"Name": n}, "#text": v}` or `{"@Name": n, "#text": v}` as a field.
fn named(item: Json<'_>) -> Result<(Cow<'_, str>, Json<'_>), Json<'_>> {
    let Json::Map(members) = item else { return Err(item) };
    let mut name = None;
    let mut text = Json::cell("");
    for (key, value) in members {
        match (key.as_ref(), value) {
            ("@Name" | "Name", Json::Text(n)) => name = Some(n),
            ("#text" | "Value" | "content", value) => text = value,
            (a, Json::Map(attributes)) if ATTRIBUTES.contains(&a) => {
                name = attributes.into_iter().find_map(|(k, v)| match v {
                    Json::Text(n) if k == "Name" => Some(n),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    name.map(|n| (n, text.clone())).ok_or(text)
}

/// A text that says something.
fn told(flat: &Fields<'_>, name: &str) -> Option<Text> {
    json::get(flat, name).and_then(Json::text).filter(|t| !matches!(t.as_str(), "-" | "N/A"))
}

fn people_and_places(draft: &mut Draft, flat: &Fields<'_>) -> Result<(), Error> {
    let accounts: &[&str] = match draft.body {
        Body::Authentication(_) => &["TargetUserName", "User"],
        _ => &["User", "SubjectUserName", "TargetUserName", "UserName"],
    };
    draft.user = accounts.iter().find_map(|n| told(flat, n));
    let host = |names: &[&str]| names.iter().find_map(|n| told(flat, n)).map(|t| Host::parse(&t));
    let port = |names: &[&str]| {
        let found = names
            .iter()
            .find_map(|n| json::get(flat, n).filter(|v| v.text().is_some_and(|t| t != "-")));
        found.map_or(Ok(None), Json::port)
    };
    draft.src_host = host(&["SourceIp", "IpAddress", "ClientAddress", "SourceAddress"]);
    if draft.src_host.is_some() {
        draft.src_port = port(&["SourcePort", "IpPort"])?.filter(|p| *p != 0);
    }
    draft.dst_host = host(&["DestinationIp", "DestAddress"]);
    if draft.dst_host.is_some() {
        draft.dst_port = port(&["DestinationPort", "DestPort"])?;
    } else {
        draft.dst_host = host(&["Computer", "ComputerName", "Hostname", "host.name"]);
    }
    draft.typed += u32::from(draft.user.is_some()) + u32::from(draft.dst_host.is_some());
    Ok(())
}

/// Logons, logoffs and failed logons of the security log.
fn body(event_id: Option<u64>, flat: &Fields<'_>) -> Body {
    let security = json::get(flat, "Channel").and_then(Json::as_str) == Some("Security");
    let (activity, outcome) = match event_id {
        Some(4624) if security => (AuthActivity::Logon, Outcome::Success),
        Some(4625) if security => (AuthActivity::Logon, Outcome::Failure),
        Some(4634 | 4647) if security => (AuthActivity::Logoff, Outcome::Success),
        Some(4648) if security => (AuthActivity::Switch, Outcome::Unknown),
        _ => return Body::Generic,
    };
    Body::Authentication(Box::new(Authentication {
        activity,
        outcome,
        service: Some("windows".into()),
        method: told(flat, "AuthenticationPackageName"),
        // NTSTATUS STATUS_NO_SUCH_USER
        invalid_user: ["Status", "SubStatus"]
            .iter()
            .any(|n| told(flat, n).is_some_and(|t| t.eq_ignore_ascii_case("0xc0000064"))),
        attempts: 1,
        ..Authentication::default()
    }))
}

/// Sigma's name of the log, from the channel; else from the provider.
fn service(flat: &Fields<'_>) -> Text {
    let channel = told(flat, "Channel").or_else(|| told(flat, "Provider_Name")).unwrap_or_default();
    let lower = channel.to_ascii_lowercase();
    let known = match lower.as_str() {
        "" => "unknown",
        "windows powershell" => "powershell-classic",
        "microsoft-windows-powershell/operational" | "powershellcore/operational" => "powershell",
        "microsoft-windows-windows defender/operational" => "windefend",
        "microsoft-windows-wmi-activity/operational" => "wmi",
        "microsoft-windows-codeintegrity/operational" => "codeintegrity-operational",
        "microsoft-windows-security-mitigations/kernel mode"
        | "microsoft-windows-security-mitigations/user mode" => "security-mitigations",
        "microsoft-windows-windows firewall with advanced security/firewall" => "firewall-as",
        "microsoft-windows-driverframeworks-usermode/operational" => "driver-framework",
        "microsoft-windows-printservice/admin" => "printservice-admin",
        "microsoft-windows-printservice/operational" => "printservice-operational",
        "microsoft-windows-smbclient/security" => "smbclient-security",
        "microsoft-windows-smbclient/connectivity" => "smbclient-connectivity",
        "microsoft-windows-smbserver/connectivity" => "smbserver-connectivity",
        "microsoft-windows-ldap-client/debug" => "ldap",
        "microsoft-windows-dns-client/operational" => "dns-client",
        "microsoft-windows-appxdeploymentserver/operational" => "appxdeployment-server",
        "microsoft-windows-security-auditing" => "security",
        "microsoft-servicebus-client" => "microsoft-servicebus-client",
        "msexchange management" => "msexchange-management",
        _ => "",
    };
    if !known.is_empty() {
        return known.into();
    }
    // `Microsoft-Windows-Sysmon/Operational` is `sysmon`, `DNS Server` is `dns-server`
    let middle = lower.strip_prefix("microsoft-windows-").unwrap_or(&lower);
    let middle = middle.split('/').next().unwrap_or(middle);
    Text::from(middle.replace(' ', "-"))
}
