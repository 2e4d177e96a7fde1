//! Syslog lines: RFC 5424, RFC 3164 (no year: it and the offset are options) and the RFC 3339 time
//! that rsyslog writes to files. Messages of login services become authentications
//! (`auth_message`).
//!
//! Bytes that are not UTF-8 are allowed here alone: RFC 3164 names no encoding. They become
//! replacement characters and the event carries `invalid_utf8`. Framing on a wire (RFC 6587) is
//! the source's work.

use crate::Options;
use crate::auth_message;
use crate::error::Error;
use crate::json::Json;
use crate::record::{Draft, Parsed};
use crate::time;
use std::borrow::Cow;
use threat::event::{Authentication, Body};
use threat::{Host, Text, Timestamp};

/// What a line says before its message.
#[derive(Debug, Default)]
struct Line<'a> {
    time: Option<Timestamp>,
    priority: Option<u16>,
    host: &'a str,
    program: &'a str,
    pid: Option<&'a str>,
    message_id: Option<&'a str>,
    data: Vec<(String, String)>,
    message: &'a str,
}

/// A priority in brackets, a month's name, or an RFC 3339 time followed by a host.
pub(crate) fn sniff(line: &[u8], options: &Options) -> bool {
    let text = String::from_utf8_lossy(line);
    split(&text, options).is_ok()
}

/// Reads one line.
pub(crate) fn read(line: &[u8], options: &Options) -> Result<Parsed, Error> {
    let text = String::from_utf8_lossy(line);
    let repaired = matches!(text, Cow::Owned(_));
    let line = split(&text, options)?;
    let program = line.program.rsplit('/').next().unwrap_or(line.program).to_ascii_lowercase();
    let mut draft = Draft::new(Body::Generic);
    draft.time = Some(line.time.ok_or_else(|| Error::Time(crate::error::shown(&text)))?);
    draft.dst_host = (!matches!(line.host, "" | "-")).then(|| Host::parse(line.host));
    draft.typed = 2 + u32::from(!program.is_empty());
    match auth_message::read(&program, line.message.trim_end()) {
        Some(told) => {
            draft.user = told.user;
            draft.src_host = told.host;
            draft.src_port = told.port;
            draft.typed +=
                2 + u32::from(draft.user.is_some()) + u32::from(draft.src_host.is_some());
            draft.body = Body::Authentication(Box::new(Authentication {
                activity: told.activity,
                outcome: told.outcome,
                service: told.service,
                method: told.method,
                invalid_user: told.invalid_user,
                attempts: told.attempts,
                ..Authentication::default()
            }));
        }
        None => {
            draft.src_host = auth_message::peer_address(line.message);
            draft.typed += u32::from(draft.src_host.is_some());
        }
    }
    draft.keep("message", Json::cell(line.message));
    if let Some(pid) = line.pid {
        draft.keep("pid", pid.parse().map_or(Json::cell(pid), Json::Int));
    }
    if let Some(priority) = line.priority {
        draft.keep("facility", Json::Int(i64::from(priority / 8)));
        draft.keep("severity", Json::Int(i64::from(priority % 8)));
    }
    if let Some(id) = line.message_id {
        draft.keep("msgid", Json::cell(id));
    }
    for (name, value) in line.data {
        draft.keep(&name, Json::Text(Cow::Owned(value)));
    }
    if repaired {
        draft.keep("invalid_utf8", Json::Bool(true));
    }
    let service = if program.is_empty() { Text::from("syslog") } else { Text::from(program) };
    draft.finish("linux", &service)
}

/// `<PRI>` and the rest of the line. RFC 5424 allows up to 191.
fn priority(text: &str) -> Option<(u16, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let number = number.parse().ok().filter(|n| *n <= 191)?;
    Some((number, rest))
}

/// The parts of a line in any of the three forms.
fn split<'a>(text: &'a str, options: &Options) -> Result<Line<'a>, Error> {
    let (found, rest) = match priority(text) {
        Some((number, rest)) => (Some(number), rest),
        None => (None, text),
    };
    if let (Some(_), Some(rest)) = (found, rest.strip_prefix("1 ")) {
        return structured(rest, found, options);
    }
    let (year, offset) = (options.reference_year, options.utc_offset_seconds);
    let (time, rest) = match time::yearless(rest, year, offset) {
        Some((Some(time), _)) if options.not_after.is_some_and(|limit| time > limit) => {
            // A year written in the text stands: then both readings are the same.
            time::yearless(rest, year - 1, offset).unwrap_or((Some(time), rest))
        }
        Some(found) => found,
        None => {
            let (word, after) = rest.split_once(' ').ok_or(Error::Syslog("no time"))?;
            match time::iso(word, offset) {
                Some(time) if word.len() > 10 => (Some(time), after),
                // a relay may pass a message on without time and host
                _ => return Err(Error::Syslog("no time")),
            }
        }
    };
    let (host, rest) = rest.trim_start().split_once(' ').ok_or(Error::Syslog("no host"))?;
    if host.is_empty() || host.ends_with(':') || host.starts_with(['{', '[']) {
        return Err(Error::Syslog("no host"));
    }
    let (program, pid, message) = tag(rest);
    Ok(Line { time, priority: found, host, program, pid, message, ..Line::default() })
}

/// `TAG[PID]: message` of RFC 3164, with `TAG(module)[PID]:`, `TAG VERSION:` and no tag at all.
fn tag(rest: &str) -> (&str, Option<&str>, &str) {
    let Some((head, message)) =
        rest.split_once(": ").or_else(|| rest.strip_suffix(':').map(|h| (h, "")))
    else {
        return ("", None, rest);
    };
    let name_end = head.find(['[', '(', ' ']).unwrap_or(head.len());
    let (name, after) = head.split_at(name_end);
    let pid = after.split_once('[').and_then(|(_, p)| p.strip_suffix(']'));
    let version = after
        .strip_prefix(' ')
        .is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()) && !v.contains(' '));
    let named = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
    let proper = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(named)
        && name.contains(|c: char| c.is_ascii_alphabetic());
    if !proper || (after.contains(' ') && !version) {
        return ("", None, rest);
    }
    (name, pid, message)
}

/// RFC 5424 after `<PRI>1 `.
fn structured<'a>(
    rest: &'a str,
    priority: Option<u16>,
    options: &Options,
) -> Result<Line<'a>, Error> {
    let mut words = rest.splitn(6, ' ');
    let mut word = || words.next().ok_or(Error::Syslog("fewer than the seven parts of RFC 5424"));
    let (written, host, program, pid, id, rest) =
        (word()?, word()?, word()?, word()?, word()?, word()?);
    let set = |w: &'a str| (w != "-").then_some(w);
    let (data, message) = match rest.strip_prefix('-') {
        Some(message) => (Vec::new(), message),
        None => elements(rest)?,
    };
    let message = message.strip_prefix(' ').unwrap_or(message);
    Ok(Line {
        time: time::iso(written, options.utc_offset_seconds),
        priority,
        host,
        program: set(program).unwrap_or_default(),
        pid: set(pid),
        message_id: set(id),
        data,
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
    })
}

/// Structured data: `[id name="value" ..]..`, as `id.name`. `\"`, `\\` and `\]` are escapes.
fn elements(text: &str) -> Result<(Vec<(String, String)>, &str), Error> {
    const BROKEN: Error = Error::Syslog("broken structured data");
    let mut found = Vec::new();
    let mut rest = text;
    if !rest.starts_with('[') {
        return Err(BROKEN);
    }
    while let Some(inside) = rest.strip_prefix('[') {
        let end = inside.find([' ', ']']).ok_or(BROKEN)?;
        let id = &inside[..end];
        rest = &inside[end..];
        while let Some(parameter) = rest.strip_prefix(' ') {
            let (name, quoted) = parameter.split_once("=\"").ok_or(BROKEN)?;
            let (value, after) = quoted_value(quoted).ok_or(BROKEN)?;
            found.push((format!("{id}.{name}"), value));
            rest = after;
        }
        rest = rest.strip_prefix(']').ok_or(BROKEN)?;
    }
    Ok((found, rest))
}

/// The value up to its closing quote, and what follows.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[i + 1..])),
            '\\' => match chars.next()?.1 {
                escaped @ ('"' | '\\' | ']') => value.push(escaped),
                // any other backslash stands for itself
                plain => value.extend(['\\', plain]),
            },
            c => value.push(c),
        }
    }
    None
}
