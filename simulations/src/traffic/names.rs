//! Names: domains under reserved names (RFC 2606), content-network labels that look random and are
//! not bad, people, machines. All made up.

use super::draw::{between, one_of};
use threat::Text;
use threat::entropy::Rng;

const FIRST: [&str; 48] = [
    "north", "harbor", "silver", "maple", "blue", "quick", "river", "stone", "green", "cloud",
    "bright", "summit", "ember", "falcon", "cedar", "lumen", "orchid", "pixel", "delta", "nova",
    "copper", "meadow", "atlas", "velvet", "granite", "solar", "coral", "amber", "prairie", "onyx",
    "signal", "tidal", "willow", "cobalt", "juniper", "marble", "saffron", "timber", "zephyr",
    "anchor", "bramble", "canyon", "drift", "echo", "fable", "glacier", "hazel", "indigo",
];
const SECOND: [&str; 32] = [
    "news", "shop", "mail", "bank", "works", "media", "travel", "forum", "weather", "maps",
    "music", "video", "labs", "health", "books", "games", "jobs", "recipes", "soft", "pay",
    "photo", "sports", "wiki", "learn", "invoice", "parts", "tickets", "garden", "legal", "desk",
    "hub", "post",
];
const ENDS: [&str; 4] = ["example", "example.com", "example.net", "example.org"];
const PEOPLE: [&str; 40] = [
    "alice", "bruno", "chloe", "dmitri", "elena", "farid", "grace", "hiro", "ines", "jonas",
    "kavya", "liam", "marta", "nadia", "oscar", "paula", "quinn", "rosa", "sven", "tariq", "uma",
    "victor", "wanda", "xavier", "yusuf", "zoe", "anton", "beata", "carlos", "dina", "emil",
    "fiona", "goran", "helga", "igor", "jana", "kofi", "lucia", "milan", "noor",
];
const SURNAMES: &[u8] = b"abcdefghijklmnoprstvwz";
const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The organisation's own domain.
pub(super) const CORP: &str = "corp.example";

/// The login of the `i`-th person; unique below a million.
pub(super) fn user(i: usize) -> Text {
    let (name, round) = (PEOPLE[i % PEOPLE.len()], i / PEOPLE.len());
    let letter = char::from(SURNAMES[(i * 7 + round) % SURNAMES.len()]);
    match round {
        0 => format!("{name}.{letter}").into(),
        n => format!("{name}.{letter}{n}").into(),
    }
}

/// A registered domain of rank `i`.
pub(super) fn domain(rng: &mut Rng, i: usize) -> String {
    let (a, b) = (one_of(rng, &FIRST), one_of(rng, &SECOND));
    let end = ENDS[[0, 0, 1, 2, 3][rng.below(5)]];
    match i / 8 {
        0 => format!("{a}{b}.{end}"),
        _ if rng.chance(0.3) => format!("{a}-{b}{}.{end}", i % 97),
        n => format!("{a}{b}{n}.{end}"),
    }
}

/// A content network's host name: long, random-looking and harmless.
pub(super) fn cdn(rng: &mut Rng) -> String {
    let network =
        one_of(rng, &["edgecache.example", "fastedge.example.net", "static-content.example.com"]);
    match rng.below(3) {
        0 => format!("d{}.{network}", letters(rng, BASE32, 13)),
        1 => format!("r{}---sn-{}.{network}", between(rng, 1, 9), letters(rng, BASE32, 12)),
        _ => format!("{}.{network}", letters(rng, HEX, 32)),
    }
}

/// `n` characters of an alphabet.
pub(super) fn letters(rng: &mut Rng, alphabet: &[u8], n: usize) -> String {
    (0..n).map(|_| char::from(alphabet[rng.below(alphabet.len())])).collect()
}

/// `n` hexadecimal digits.
pub(super) fn hex(rng: &mut Rng, n: usize) -> String {
    letters(rng, HEX, n)
}

/// `n` base-32 digits.
pub(super) fn base32(rng: &mut Rng, n: usize) -> String {
    letters(rng, BASE32, n)
}

/// The name with one letter lost, doubled or swapped.
pub(super) fn typo(rng: &mut Rng, name: &str) -> String {
    let mut chars: Vec<char> = name.chars().collect();
    let word = name.find('.').unwrap_or(name.len()).max(2);
    let at = rng.below(word - 1);
    match rng.below(3) {
        0 => drop(chars.remove(at)),
        1 => chars.insert(at, chars[at]),
        _ => chars.swap(at, at + 1),
    }
    chars.into_iter().collect()
}

/// A path with a query, as pages have them.
pub(super) fn path(rng: &mut Rng) -> String {
    match rng.below(5) {
        0 => "/".into(),
        1 => format!("/{}/{}", one_of(rng, &SECOND), between(rng, 100, 99_999)),
        2 => format!("/static/{}.js?v={}", hex(rng, 8), between(rng, 1, 40)),
        3 => format!("/img/{}/{}.jpg", one_of(rng, &FIRST), between(rng, 1, 900)),
        _ => format!("/{}?id={}&ref={}", one_of(rng, &SECOND), between(rng, 1, 9_999), hex(rng, 6)),
    }
}

/// A browser as it names itself.
pub(super) fn browser(rng: &mut Rng, linux: bool) -> &'static str {
    const WINDOWS: [&str; 3] = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/133.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:135.0) Gecko/20100101 Firefox/135.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/133.0.0.0 Safari/537.36 Edg/133.0.0.0",
    ];
    const LINUX: [&str; 2] = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/133.0.0.0 Safari/537.36",
    ];
    if linux { one_of(rng, &LINUX) } else { one_of(rng, &WINDOWS) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_reserved() {
        let users: BTreeSet<_> = (0..5_000).map(user).collect();
        assert_eq!(users.len(), 5_000);
        let mut rng = Rng::new(5);
        for i in 0..400 {
            let name = if i % 2 == 0 { domain(&mut rng, i) } else { cdn(&mut rng) };
            assert!(name.contains(".example"), "{name}");
            assert!(name.split('.').all(|l| !l.is_empty() && l.len() < 64));
            let wrong = typo(&mut rng, &name);
            assert!(wrong.contains('.') && wrong.len().abs_diff(name.len()) <= 1);
        }
    }
}
