//! Elementary functions for the scoring path, written with plain IEEE additions, multiplications
//! and divisions, so that a score has the same bits on every machine whatever its C library, and so
//! that loops over them compile to vector instructions.
//!
//! Not here: anything that must be exact to the last bit against the C library. Each function
//! states its greatest error, and a test holds it to that.

/// 1.5 · 2^23: adding it to a small float leaves the nearest integer in the low mantissa bits.
const ROUND: f32 = 12_582_912.0;

/// ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// e^x within 3e-7 of the true value, relatively. Saturates below −87 and above 88.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let r = (x - power * LN2_HIGH) - power * LN2_LOW;
    // Taylor to the sixth power: |r| stays under ln 2 / 2, where the next term is 1.2e-7.
    let mut p = r * (1.0 / 720.0) + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // The integer in the low bits of `shifted` is added to the exponent of `p`.
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// 1 / (1 + e^−x) within 3e-7.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent within 3e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// The natural logarithm of a positive normal number, within 1e-7 relatively or absolutely,
/// whichever is larger.
#[inline]
pub fn ln(x: f32) -> f32 {
    const SQRT_HALF_BITS: i32 = 0x3f35_04f3;
    let bits = x.to_bits() as i32;
    let power = (bits - SQRT_HALF_BITS) >> 23;
    let m = f64::from(f32::from_bits((bits - (power << 23)) as u32));
    // ln m = 2 artanh((m − 1)/(m + 1)), and m lies between √½ and √2, so t is under 0.172.
    let t = (m - 1.0) / (m + 1.0);
    let s = t * t;
    let series = 1.0 + s * (1.0 / 3.0 + s * (0.2 + s * (1.0 / 7.0 + s * (1.0 / 9.0 + s / 11.0))));
    (f64::from(power) * std::f64::consts::LN_2 + 2.0 * t * series) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many points of an interval, evenly spread.
    fn points(low: f64, high: f64) -> impl Iterator<Item = f32> {
        (0..=200_000).map(move |i| (low + (high - low) * f64::from(i) / 200_000.0) as f32)
    }

    #[test]
    fn errors_stay_within_what_is_stated() {
        for x in points(-86.9, 87.9) {
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) - want).abs() <= 3e-7 * want, "exp {x}");
        }
        for x in points(-30.0, 30.0) {
            let x64 = f64::from(x);
            assert!((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-x64).exp())).abs() < 3e-7, "{x}");
            assert!((f64::from(tanh(x)) - x64.tanh()).abs() < 3e-7, "tanh {x}");
        }
        for y in points(-80.0, 80.0) {
            let x = f64::from(y).exp() as f32;
            let want = f64::from(x).ln();
            assert!((f64::from(ln(x)) - want).abs() <= 1e-7 * want.abs().max(1.0), "ln {x}");
        }
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(exp(-1e9), exp(-87.0));
        assert!(exp(1e9).is_finite());
        assert_eq!((sigmoid(1e6), tanh(-1e6), tanh(1e6)), (1.0, -1.0, 1.0));
        assert!(exp(f32::NAN).is_nan());
        assert_eq!((exp(0.0), ln(1.0), tanh(0.0)), (1.0, 0.0, 0.0));
    }
}
