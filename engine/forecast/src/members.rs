//! The catalogue of forecasting methods.

mod daily;
mod decomposed;
mod flat;
mod lagged;
mod profile;
mod seasonal;
mod smoothed;

pub(crate) use decomposed::moving_average;

use crate::member::{Member, Past};
use crate::series::Seasons;
use serde::{Deserialize, Serialize};

/// Lists the members once: their kinds, their fitted form, and the calls that reach them.
macro_rules! catalogue {
    ($($kind:ident = $member:ty),+ $(,)?) => {
        /// A forecasting method.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        pub enum Kind {
            $(#[doc = concat!("See `", stringify!($member), "`.")] $kind,)+
        }

        /// A fitted method.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub(crate) enum Fit {
            $($kind($member),)+
        }

        impl Kind {
            /// All methods, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// One word for tables.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => <$member>::NAME,)+ }
            }

            /// What it does, in one line.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$kind => <$member>::SUMMARY,)+ }
            }

            /// Values that it needs to be fitted.
            pub fn needs(self, seasons: Seasons) -> usize {
                match self { $(Self::$kind => <$member>::needs(seasons),)+ }
            }

            /// Fits it, where there is enough to fit it to.
            pub(crate) fn fit(self, past: &Past<'_>) -> Option<Fit> {
                if past.z.len() < self.needs(past.seasons).max(1) {
                    return None;
                }
                match self { $(Self::$kind => <$member>::fit(past).map(Fit::$kind),)+ }
            }
        }

        impl Fit {
            /// The method.
            pub(crate) fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)+ }
            }

            /// See [`Member::forecast`].
            pub(crate) fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64> {
                match self { $(Self::$kind(member) => member.forecast(past, horizon),)+ }
            }
        }
    };
}

catalogue! {
    Lagged = lagged::Lagged,
    Daily = daily::Daily,
    Smoothed = smoothed::Smoothed,
    Decomposed = decomposed::Decomposed,
    Profile = profile::Profile,
    Seasonal = seasonal::Seasonal,
    Flat = flat::Flat,
}

impl Kind {
    /// The methods that are mixed by their errors.
    pub const MIXED: [Self; 4] = [Self::Lagged, Self::Daily, Self::Smoothed, Self::Decomposed];

    /// The methods that everything else has to beat.
    pub const FLOORS: [Self; 2] = [Self::Seasonal, Self::Flat];
}

/// Recursive forecasts stay within the range of the past, widened on both sides by this share of
/// it: an autoregression that is fitted to few values may otherwise grow without bound.
const WIDENED: f64 = 0.5;

/// The range that forecasts may take: that of `values`, widened.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let extra = WIDENED * (high - low);
    (low - extra, high + extra)
}

/// Lags in ascending order, each once, of those that leave half of `values` to be fitted to.
fn lags(wanted: impl IntoIterator<Item = usize>, values: usize) -> Vec<usize> {
    let mut lags: Vec<usize> =
        wanted.into_iter().filter(|lag| *lag > 0 && *lag <= values / 2).collect();
    lags.sort_unstable();
    lags.dedup();
    lags
}
