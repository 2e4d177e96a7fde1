//! What has to be known beside the numbers of a forecast.

use super::{Made, percent};
use crate::report::forecasts::short;
use crate::report::words::{number, time};
use forecast::series::Treated;
use forecast::shift::Shift;
use forecast::strength::{Strength, WEAK};

/// Changes of level that are told, the latest.
const SHIFTS: usize = 3;

/// The notes of a forecast, each a sentence.
pub fn notes(made: &Made) -> Vec<String> {
    let mut notes = Vec::new();
    if made.forecast.weak {
        notes.push(format!(
            "Weak: {} steps are too few to validate it in full.",
            number(made.series.len() as u64)
        ));
    }
    if let Some(shift) = made.forecast.shift {
        notes.push(format!("The level {}; what was before is not used.", level(&shift)));
    }
    let earlier = made.shifts.iter().filter(|shift| made.forecast.shift != Some(**shift));
    let earlier: Vec<String> = earlier.map(level).collect();
    if let [.., _] = &*earlier {
        let told = earlier[earlier.len().saturating_sub(SHIFTS)..].join("; it ");
        notes.push(format!("Changes of level: it {told}."));
    }
    notes.extend(made.strength.map(|s| strength(s, made.series.grid().seasons().short)));
    notes.extend(made.judged.iter().filter_map(|judged| {
        let online = &judged.online;
        let shares: Vec<String> = online
            .coverage()
            .iter()
            .filter_map(|c| {
                let share = 100.0 * c.share()?;
                Some(format!("{share:.0}% within {}%", percent(c.level)))
            })
            .collect();
        let seen = online.coverage().first().filter(|c| c.seen > 0)?.seen;
        let floor = online.fallen_back().map_or_else(String::new, |kind| {
            format!("; {} does better lately and is shown", kind.name())
        });
        let (day, held) = (judged.day, shares.join(", "));
        Some(format!("Said {day} d ahead, of {seen} hours that came: {held}{floor}."))
    }));
    notes.extend(odd(&made.treated));
    notes
}

fn level(shift: &Shift) -> String {
    format!("went from {} to {} at {}", short(shift.before), short(shift.after), time(shift.at))
}

fn strength(strength: Strength, day: usize) -> String {
    let word = |share: f64| match share {
        s if s >= WEAK => "strong",
        s if s >= WEAK / 2.0 => "weak",
        _ => "none",
    };
    let season = if day == 7 { "week" } else { "day" };
    let mut parts = vec![format!("of the {season} {}", word(strength.short))];
    if season == "day" {
        parts.push(format!("of the week {}", word(strength.long)));
    }
    format!("Seasons: {}. Trend: {}.", parts.join(", "), word(strength.trend))
}

fn odd(treated: &Treated) -> Option<String> {
    let Treated { gaps, duplicates, negatives, not_a_number } = *treated;
    let odd = [
        (gaps, "steps without a row"),
        (duplicates, "rows beyond the first of their step"),
        (negatives, "negative values, taken as 0"),
        (not_a_number, "rows without a value"),
    ];
    let odd: Vec<String> = odd
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(*count as u64)))
        .collect();
    (!odd.is_empty()).then(|| format!("Its rows: {}.", odd.join(", ")))
}
