//! Axes: round ticks over a range of values.
//!
//! Invariant: a scale is finite and not empty, whatever the values are.

/// Values beyond this are not drawn: neither a metric nor a picture has a use for them.
const MOST: f64 = 1e9;

/// Whether a value can be drawn.
pub(super) fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= MOST
}

/// From values to pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// Value at the start of the axis; a tick.
    pub low: f64,
    /// Value at its end.
    pub high: f64,
    /// Rising.
    pub ticks: Vec<f64>,
    /// Digits after the point that tell ticks apart.
    pub decimals: usize,
    /// Whether equal factors lie equally far apart.
    pub logarithmic: bool,
}

impl Scale {
    /// Around values, with a little room above and below; of lengths from 0, where the values lie close enough to it.
    pub fn around(values: impl Iterator<Item = f64>, lengths: bool) -> Self {
        let (low, high) = bounds(values);
        let room = match high - low {
            span if span > 0.0 => 0.06 * span,
            _ if high == 0.0 => 1.0,
            _ => 0.05 * high.abs(),
        };
        let (mut from, to) = (low - room, high + room);
        if low >= 0.0 && (low < 0.5 * high && lengths || from < 0.0) {
            from = 0.0;
        }
        let step = step((to - from) / 6.0);
        let first = libm::floor(from / step);
        Scale::ticked(first * step, to, step)
    }

    /// From the first to the last value exactly, for an x axis.
    pub fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values);
        let (low, high) = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
        Scale::ticked(low, high, step((high - low) / 8.0))
    }

    /// From the first to the last positive value, equal factors equally far apart; as [`Scale::over`] where there are none.
    pub fn over_factors(values: impl Iterator<Item = f64>) -> Self {
        let positive: Vec<f64> = values.filter(|&value| drawable(value) && value > 0.0).collect();
        let (low, high) = bounds(positive.iter().copied());
        if positive.is_empty() || low == high {
            return Scale::over(positive.into_iter());
        }
        let decades = libm::floor(libm::log10(low)) as i32..=libm::ceil(libm::log10(high)) as i32;
        let steps = decades
            .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * libm::pow(10.0, f64::from(decade))));
        let inside = |tick: &f64| *tick >= low * (1.0 - 1e-9) && *tick <= high * (1.0 + 1e-9);
        let decimals = libm::fmax(0.0, -libm::floor(libm::log10(low))) as usize;
        Scale { low, high, ticks: steps.filter(inside).collect(), decimals, logarithmic: true }
    }

    fn ticked(low: f64, high: f64, step: f64) -> Self {
        let first = libm::ceil(low / step - 1e-9);
        let ticks =
            (0..64).map(|i| (first + f64::from(i)) * step).take_while(|&tick| tick <= high + 1e-9 * step);
        let mut decimals = 0;
        let mut unit = 1.0;
        while decimals < 9 && libm::fabs(step * unit - libm::round(step * unit)) > 1e-6 * step * unit {
            decimals += 1;
            unit *= 10.0;
        }
        Scale { low, high, ticks: ticks.collect(), decimals, logarithmic: false }
    }

    /// Where a value stands between two pixels; values outside stand at the ends.
    pub fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        let share = if self.logarithmic {
            libm::log(libm::fmax(value, self.low) / self.low) / libm::log(self.high / self.low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let share = share.clamp(0.0, 1.0);
        from + share * (to - from)
    }

    /// A tick in words.
    pub fn word(&self, tick: f64) -> String {
        if self.logarithmic {
            let needed = libm::fmax(0.0, -libm::floor(libm::log10(tick) + 1e-9)) as usize;
            return format!("{tick:.needed$}");
        }
        // Adding to +0 keeps -0 from being written.
        format!("{:.*}", self.decimals, tick + 0.0).replace('-', "−")
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let found = values.filter(|&value| drawable(value)).fold(None, |found, value| match found {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    });
    found.unwrap_or((0.0, 1.0))
}

/// The least of 1, 2, 5 times a power of ten that is not below `least`.
fn step(least: f64) -> f64 {
    let exponent = libm::floor(libm::log10(least));
    let power = libm::pow(10.0, exponent);
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|&step| step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}
