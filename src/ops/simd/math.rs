//! exp, ln, tanh, sigmoid, softplus and the normal distribution over eight lanes.
//!
//! Invariant: built of single-rounding lane operations only (never the C library), so every instruction set gives the
//! same bits. `f32` is branch-free and within 2 units in the last place; `f64`, which only gradient checks use, goes
//! through `libm` lane by lane.

use super::{Lanes, Real};

/// The transcendental functions of a number type; a part of [`Real`].
pub trait Transcendental: Sized {
    /// e to the power of each lane: 0 at minus infinity, subnormal where it must be, infinite above the range.
    fn exp<V: Lanes<Elem = Self>>(x: V) -> V;

    /// Natural logarithm of each lane: minus infinity at 0, NaN below.
    fn ln<V: Lanes<Elem = Self>>(x: V) -> V;

    /// Hyperbolic tangent of each lane; exactly odd.
    fn tanh<V: Lanes<Elem = Self>>(x: V) -> V;

    /// The standard normal distribution at each lane: the probability of less, and the density.
    fn normal<V: Lanes<Elem = Self>>(x: V) -> (V, V);
}

/// 1 / (1 + e^-x), with full relative accuracy on both sides: only e^-|x| is ever taken.
#[inline(always)]
pub fn sigmoid<V: Lanes>(x: V) -> V {
    let (zero, one) = (V::zero(), V::splat(V::Elem::ONE));
    let minus_x = zero.sub(x);
    let small = V::Elem::exp(x.min(minus_x));
    let denominator = one.add(small);
    let left_out = small.sub(denominator.sub(one));
    quotient(zero.if_greater(x, small, one), denominator, left_out)
}

/// ln(1 + e^x), with full relative accuracy on both sides: only e^-|x| is ever taken.
#[inline(always)]
pub fn softplus<V: Lanes>(x: V) -> V {
    let (zero, one) = (V::zero(), V::splat(V::Elem::ONE));
    let small = V::Elem::exp(x.min(zero.sub(x)));
    let sum = one.add(small);
    let left_out = small.sub(sum.sub(one));
    zero.max(x).add(V::Elem::ln(sum).add(left_out.div(sum)))
}

/// `numerator / (denominator + left_out)`, where `left_out` is what rounding took from the denominator: as if sum and
/// quotient were rounded together.
#[inline(always)]
fn quotient<V: Lanes>(numerator: V, denominator: V, left_out: V) -> V {
    let (zero, one) = (V::zero(), V::splat(V::Elem::ONE));
    let inverse = one.div(denominator);
    let first = numerator.mul(inverse);
    let minus_first = zero.sub(first);
    let missing = minus_first.mul_add(left_out, minus_first.mul_add(denominator, numerator));
    missing.mul_add(inverse, first)
}

/// ln 2 in two parts: the first has so few bits that its products with exponents are exact.
const LN2_HIGH: f32 = 355.0 / 512.0;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// Splits x into n ln 2 + r with |r| <= (ln 2) / 2, and returns (n, e^r - 1). Expects |x| below 2^15.
#[inline(always)]
fn reduced_exp_minus_one<V: Lanes<Elem = f32>>(x: V) -> (V, V) {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    let shifter = V::splat(12_582_912.0);
    let n = x.mul_add(V::splat(std::f32::consts::LOG2_E), shifter).sub(shifter);
    let r = n.mul_add(V::splat(-LN2_HIGH), x);
    let r = n.mul_add(V::splat(-LN2_LOW), r);
    // Taylor's series through r^7; the first term left out is below 2^-27.
    let mut series = V::splat(1.0 / 5040.0);
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        series = series.mul_add(r, V::splat(coefficient));
    }
    (n, series.mul_add(r.mul(r), r))
}

/// Mills' ratio, the upper tail of the normal distribution over `exp(-y^2 / 2)`, for `y` in [0, 14.5]: a polynomial of
/// `(y - 2) / (y + 2)`, by interpolation at Chebyshev's points. The relative error is below 2^-23.
const TAIL: [f32; 12] = [
    -2.843_849_6e-6,
    -4.828_774e-5,
    -0.000_136_391_58,
    -6.691_798e-6,
    0.000_669_611_73,
    0.001_197_226_9,
    -0.001_559_633_4,
    -0.009_297_284,
    0.001_979_772,
    0.090_050_45,
    -0.250_953_1,
    0.168_102,
];
/// From here on the tail is 0 in `f32`.
const TAIL_END: f32 = 14.5;

impl Transcendental for f32 {
    #[inline(always)]
    fn exp<V: Lanes<Elem = Self>>(x: V) -> V {
        // The limits lie just beyond overflow and beyond half of the smallest subnormal; in this order NaN stays.
        let x = V::splat(89.0).min(V::splat(-104.0).max(x));
        let (n, fraction) = reduced_exp_minus_one(x);
        // Scaled in two steps: 2^n alone may lie outside the range. Only the second step rounds.
        let shifter = V::splat(12_582_912.0);
        let half = n.mul_add(V::splat(0.5), shifter).sub(shifter);
        fraction.add(V::splat(1.0)).mul(half.pow2()).mul(n.sub(half).pow2())
    }

    #[inline(always)]
    fn ln<V: Lanes<Elem = Self>>(x: V) -> V {
        let (zero, one) = (V::zero(), V::splat(1.0));
        // Subnormals are scaled into the normal range first.
        let smallest = V::splat(f32::MIN_POSITIVE);
        let scaled = smallest.if_greater(x, x.mul(V::splat(8_388_608.0)), x);
        let lifted = smallest.if_greater(x, V::splat(-23.0), zero);
        let (mantissa, exponent) = scaled.split_exponent();
        // The mantissa is brought into [sqrt(1/2), sqrt(2)).
        let large = V::splat(std::f32::consts::SQRT_2);
        let exponent = mantissa.if_greater(large, exponent.add(one), exponent).add(lifted);
        let mantissa = mantissa.if_greater(large, mantissa.mul(V::splat(0.5)), mantissa);
        // ln(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)) with s = f / (2 + f): 2 atanh(s) without its first rounding.
        let f = mantissa.sub(one);
        let s = f.div(f.add(V::splat(2.0)));
        let square = s.mul(s);
        let mut series = V::splat(2.0 / 11.0);
        for coefficient in [2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0] {
            series = series.mul_add(square, V::splat(coefficient));
        }
        let half_square = f.mul(f).mul(V::splat(0.5));
        let tail = s.mul(series.mul_add(square, half_square));
        let low = exponent.mul_add(V::splat(LN2_LOW), tail).sub(half_square);
        let result = exponent.mul_add(V::splat(LN2_HIGH), f.add(low));
        // Infinity stays; 0 and NaN meet minus infinity; what is negative has no logarithm.
        let result = x.if_greater(V::splat(f32::MAX), x, result);
        let outside = zero.if_greater(x, V::splat(f32::NAN), x.add(V::splat(f32::NEG_INFINITY)));
        x.if_greater(zero, result, outside)
    }

    #[inline(always)]
    fn tanh<V: Lanes<Elem = Self>>(x: V) -> V {
        let (zero, one) = (V::zero(), V::splat(1.0));
        let magnitude = x.max(zero.sub(x));
        // t / (t + 2) with t = e^2|x| - 1; from |x| = 10 on it is 1.
        let (n, fraction) = reduced_exp_minus_one(V::splat(20.0).min(magnitude.add(magnitude)));
        let scale = n.pow2();
        let t = fraction.mul_add(scale, scale.sub(one));
        let two = V::splat(2.0);
        let denominator = t.add(two);
        // Either summand may be the larger one.
        let from_two = denominator.sub(t);
        let left_out = t.sub(denominator.sub(from_two)).add(two.sub(from_two));
        let result = quotient(t, denominator, left_out);
        let result = zero.if_greater(x, zero.sub(result), result);
        // Below 2^-13 the tangent rounds to its argument, which keeps the sign of zero.
        V::splat(1.0 / 8192.0).if_greater(magnitude, x, result)
    }

    #[inline(always)]
    fn normal<V: Lanes<Elem = Self>>(x: V) -> (V, V) {
        let (zero, one, two) = (V::zero(), V::splat(1.0), V::splat(2.0));
        let y = V::splat(TAIL_END).min(x.max(zero.sub(x)));
        // The exponent in two parts: its rounding would be seen in the tail.
        let half = y.mul(V::splat(0.5));
        let exponent = half.mul(y);
        let left_out = half.mul_add(y, zero.sub(exponent));
        let bell = <Self as Transcendental>::exp(zero.sub(exponent));
        let bell = zero.sub(left_out).mul_add(bell, bell);
        let t = y.sub(two).div(y.add(two));
        let mut ratio = V::splat(TAIL[0]);
        for &coefficient in &TAIL[1..] {
            ratio = ratio.mul_add(t, V::splat(coefficient));
        }
        let tail = ratio.mul(bell);
        (x.if_greater(zero, one.sub(tail), tail), bell.mul(V::splat(0.398_942_3)))
    }
}

/// Applies a scalar function to each lane.
#[inline(always)]
fn each<V: Lanes>(x: V, function: fn(V::Elem) -> V::Elem) -> V {
    V::from_array(x.to_array().map(function))
}

impl Transcendental for f64 {
    #[inline(always)]
    fn exp<V: Lanes<Elem = Self>>(x: V) -> V {
        each(x, libm::exp)
    }

    #[inline(always)]
    fn ln<V: Lanes<Elem = Self>>(x: V) -> V {
        each(x, libm::log)
    }

    #[inline(always)]
    fn tanh<V: Lanes<Elem = Self>>(x: V) -> V {
        each(x, libm::tanh)
    }

    #[inline(always)]
    fn normal<V: Lanes<Elem = Self>>(x: V) -> (V, V) {
        fn below(x: f64) -> f64 {
            0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
        }
        fn density(x: f64) -> f64 {
            libm::exp(-0.5 * x * x) / libm::sqrt(std::f64::consts::TAU)
        }
        (each(x, below), each(x, density))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Array, Kernel, LANES};
    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Function {
        Exp,
        Ln,
        Tanh,
        Sigmoid,
        Softplus,
        Normal,
        Density,
    }

    #[derive(Clone, Copy)]
    struct Apply<'a, E>(Function, &'a [E]);

    impl<E: Real> Kernel<E> for Apply<'_, E> {
        type Output = Vec<E>;
        #[inline(always)]
        fn run<V: Lanes<Elem = E>>(self) -> Vec<E> {
            let mut out = Vec::new();
            for chunk in self.1.as_chunks::<LANES>().0 {
                let x = V::from_array(*chunk);
                let y = match self.0 {
                    Function::Exp => E::exp(x),
                    Function::Ln => E::ln(x),
                    Function::Tanh => E::tanh(x),
                    Function::Sigmoid => sigmoid(x),
                    Function::Softplus => softplus(x),
                    Function::Normal => E::normal(x).0,
                    Function::Density => E::normal(x).1,
                };
                out.extend(y.to_array());
            }
            out
        }
    }

    impl Function {
        const ALL: [Self; 7] = [
            Function::Exp,
            Function::Ln,
            Function::Tanh,
            Function::Sigmoid,
            Function::Softplus,
            Function::Normal,
            Function::Density,
        ];

        /// Units in the last place that may be wrong; more far out in the tail, where the ratio's polynomial is a difference.
        fn ulps(self) -> f64 {
            match self {
                Function::Normal => 16.0,
                Function::Density => 4.0,
                _ => 2.0,
            }
        }

        fn exact(self, x: f64) -> f64 {
            match self {
                Function::Exp => libm::exp(x),
                Function::Ln => libm::log(x),
                Function::Tanh => libm::tanh(x),
                Function::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
                Function::Softplus => x.max(0.0) + libm::log1p(libm::exp(-x.abs())),
                Function::Normal => 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
                Function::Density => libm::exp(-0.5 * x * x) / libm::sqrt(std::f64::consts::TAU),
            }
        }
    }

    /// Floats spread evenly over the bit patterns between two positive ones, with both signs.
    fn spread(from: f32, to: f32, count: u32, both_signs: bool) -> Vec<f32> {
        let (from, to) = (from.to_bits(), to.to_bits());
        let step = ((to - from) / count).max(1);
        let mut out: Vec<f32> = (from..to).step_by(step as usize).map(f32::from_bits).collect();
        if both_signs {
            out.extend(out.clone().into_iter().map(|x| -x));
        }
        out.resize(out.len().next_multiple_of(LANES), 1.0);
        out
    }

    /// Distance in units of the last place of the exact value.
    fn ulps(found: f32, exact: f64) -> f64 {
        let rounded = exact as f32;
        if rounded == found || !rounded.is_finite() {
            return if rounded == found { 0.0 } else { f64::INFINITY };
        }
        let magnitude = rounded.abs().max(f32::MIN_POSITIVE);
        let ulp = f64::from(f32::from_bits(magnitude.to_bits() + 1)) - f64::from(magnitude);
        (f64::from(found) - exact).abs() / ulp
    }

    fn worst(function: Function, inputs: &[f32]) -> f64 {
        let found = f32::dispatch(Apply(function, inputs));
        let exact = inputs.iter().map(|&x| function.exact(f64::from(x)));
        found.iter().zip(exact).map(|(&f, e)| ulps(f, e)).fold(0.0, f64::max)
    }

    #[test]
    fn f32_is_accurate() {
        let wide = spread(1e-30, 120.0, 400_000, true);
        let near = spread(0.05, 16.0, 400_000, true);
        for function in Function::ALL.into_iter().filter(|function| !matches!(function, Function::Ln)) {
            let worst = worst(function, &wide).max(worst(function, &near));
            println!("{function:?}: {worst:.2} ulp");
            assert!(worst <= function.ulps(), "{function:?}: {worst}");
        }
        let positive = spread(f32::from_bits(1), f32::MAX, 800_000, false);
        let around_one = spread(0.5, 2.0, 400_000, false);
        let worst = worst(Function::Ln, &positive).max(worst(Function::Ln, &around_one));
        println!("Ln: {worst:.2} ulp");
        assert!(worst <= 2.0, "ln: {worst}");
    }

    /// Every float there is: half an hour on two cores.
    /// `cargo test --release --lib -- --ignored every_float`
    #[test]
    #[ignore = "half an hour; see its comment"]
    fn every_float_is_accurate() {
        use rayon::prelude::*;
        for function in Function::ALL {
            let blocks = 0..1u32 << 12;
            let worst = blocks.into_par_iter().map(|block| {
                let floats = (block << 20..=(block << 20 | 0xf_ffff)).map(f32::from_bits);
                let inputs: Vec<f32> = floats
                    .map(|x| if x.is_nan() || matches!(function, Function::Ln) && x <= 0.0 { 1.0 } else { x })
                    .collect();
                worst(function, &inputs)
            });
            let worst = worst.reduce(|| 0.0, f64::max);
            println!("{function:?}: {worst:.3} ulp over all floats");
            assert!(worst <= function.ulps(), "{function:?}: {worst}");
        }
    }

    #[test]
    fn special_values() {
        let infinity = f32::INFINITY;
        let apply = |function, x: f32| f32::dispatch(Apply(function, &[x; LANES]))[0];
        for (function, x, expected) in [
            (Function::Exp, 0.0, 1.0),
            (Function::Exp, -infinity, 0.0),
            (Function::Exp, infinity, infinity),
            (Function::Exp, 88.8, infinity),
            (Function::Exp, -104.0, 0.0),
            (Function::Ln, 1.0, 0.0),
            (Function::Ln, 0.0, -infinity),
            (Function::Ln, -0.0, -infinity),
            (Function::Ln, infinity, infinity),
            (Function::Tanh, 0.0, 0.0),
            (Function::Tanh, -0.0, -0.0),
            (Function::Tanh, 1e-40, 1e-40),
            (Function::Tanh, infinity, 1.0),
            (Function::Tanh, -infinity, -1.0),
            (Function::Sigmoid, 0.0, 0.5),
            (Function::Sigmoid, infinity, 1.0),
            (Function::Sigmoid, -infinity, 0.0),
            (Function::Softplus, 0.0, std::f32::consts::LN_2),
            (Function::Softplus, infinity, infinity),
            (Function::Softplus, -infinity, 0.0),
            (Function::Normal, infinity, 1.0),
            (Function::Normal, -infinity, 0.0),
            (Function::Density, infinity, 0.0),
        ] {
            assert_eq!(apply(function, x).to_bits(), expected.to_bits(), "{function:?}({x})");
        }
        for function in Function::ALL {
            assert!(apply(function, f32::NAN).is_nan(), "{function:?}");
        }
        assert!(apply(Function::Ln, -1.0).is_nan());
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let mut inputs = spread(f32::from_bits(1), f32::MAX, 20_000, true);
        inputs.extend(spread(1e-3, 110.0, 50_000, true));
        for function in Function::ALL {
            let kernel = Apply(function, &inputs);
            let (native, portable) = (f32::dispatch(kernel), kernel.run::<Array<f32>>());
            for ((x, a), b) in inputs.iter().zip(native).zip(portable) {
                assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{function:?}({x}): {a} {b}");
            }
        }
    }

    #[test]
    fn f64_agrees_with_libm() {
        let inputs: Vec<f64> = (0..8000).map(|i| (f64::from(i) - 4000.0) / 200.0).collect();
        for function in Function::ALL.into_iter().filter(|function| !matches!(function, Function::Ln)) {
            for (&x, y) in inputs.iter().zip(f64::dispatch(Apply(function, &inputs))) {
                let exact = function.exact(x);
                assert!(
                    (y - exact).abs() <= 4.0 * f64::EPSILON * exact.abs(),
                    "{function:?}({x}): {y} {exact}"
                );
            }
        }
    }
}
