//! How urgent a syslog datagram is, told from its first bytes alone: what is shed under load must
//! be chosen without parsing it.

use flow::admission::Priority;

/// Facilities of authentication: `auth` and `authpriv` (RFC 5424, table 1).
const AUTHENTICATION: [u16; 2] = [4, 10];

/// Severities up to this, alert and emergency, are the most urgent (RFC 5424, table 2).
const ALERT: u16 = 1;

/// Severities up to this, error and critical, come before the usual.
const ERROR: u16 = 3;

/// What only helps to find errors in programs.
const DEBUG: u16 = 7;

/// The urgency of a datagram by its `<PRI>`; the usual one where there is none.
pub fn urgency(datagram: &[u8]) -> Priority {
    let Some(value) = priority_value(datagram) else { return Priority::Normal };
    let (facility, severity) = (value / 8, value % 8);
    match severity {
        _ if severity <= ALERT => Priority::Critical,
        _ if severity <= ERROR || AUTHENTICATION.contains(&facility) => Priority::High,
        DEBUG => Priority::Low,
        _ => Priority::Normal,
    }
}

/// The number in `<PRI>`, at most 191.
fn priority_value(datagram: &[u8]) -> Option<u16> {
    let rest = datagram.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).position(|&b| b == b'>')?;
    let text = std::str::from_utf8(&rest[..digits]).ok()?;
    text.parse().ok().filter(|n| *n <= 191)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authentication_and_errors_come_before_the_usual_and_debugging_last() {
        let cases: [(&[u8], Priority); 8] = [
            (b"<86>Nov 25 10:00:00 h sshd[1]: Accepted", Priority::High),
            (b"<38>1 2026-11-25T10:00:00Z h sshd - - - x", Priority::High),
            (b"<8>kernel panic", Priority::Critical),
            (b"<11>error", Priority::High),
            (b"<14>informational", Priority::Normal),
            (b"<15>debugging", Priority::Low),
            (b"<999>no priority", Priority::Normal),
            (b"{\"event_type\":\"flow\"}", Priority::Normal),
        ];
        for (datagram, expected) in cases {
            assert_eq!(urgency(datagram), expected, "{}", String::from_utf8_lossy(datagram));
        }
    }
}
