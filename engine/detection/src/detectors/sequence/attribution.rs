//! How the parts of a token share its surprise.
//!
//! The surprise of some of the parts is −ln of the probability that the next token has them,
//! whatever its other parts; that of all parts is the token's own. What a part adds to it, averaged
//! over all orders in which parts can be told (the Shapley value), is its share: never negative,
//! the same whatever order parts are listed in, and all shares together are the surprise.

use crate::block::Token;
use crate::features::tokens::{Part, values};

/// The share of each part in the surprise of `token`, whose class is `class`, when the classes have
/// the `chances`. The last class stands for all tokens that are not among the `seen` ones; they are
/// taken to have nothing in common with a seen token, and to be the token itself when it is one.
pub fn shares(
    parts: &[Part],
    seen: &[Token],
    class: usize,
    token: Token,
    chances: &[f32],
) -> Vec<f64> {
    let own = values(parts, token);
    let all = (1usize << parts.len()) - 1;
    let mut chance = vec![0.0f64; all + 1];
    for (c, &p) in chances.iter().enumerate() {
        let common = match seen.get(c) {
            _ if c == class => all,
            Some(&other) => values(parts, other)
                .iter()
                .zip(&own)
                .enumerate()
                .fold(0, |bits, (i, (a, b))| bits | usize::from(a == b) << i),
            None => 0,
        };
        chance[common] += f64::from(p);
    }
    let total: f64 = chance.iter().sum();
    let surprise: Vec<f64> = (0..=all)
        .map(|told| {
            let fits = (0..=all).filter(|common| common & told == told);
            -(fits.map(|common| chance[common]).sum::<f64>() / total).ln()
        })
        .collect();
    let count = parts.len();
    let adds = |i: usize| {
        let without = (0..=all).filter(move |told| told >> i & 1 == 0);
        without.map(|t| orders(count, t.count_ones()) * (surprise[t | 1 << i] - surprise[t])).sum()
    };
    (0..count).map(adds).collect()
}

/// Share of the orders of `count` parts in which so many given ones come first and a given other
/// one next.
fn orders(count: usize, before: u32) -> f64 {
    let factorial = |n: usize| (1..=n).product::<usize>() as f64;
    let before = before as usize;
    factorial(before) * factorial(count - before - 1) / factorial(count)
}
