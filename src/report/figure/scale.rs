//! Axes: round ticks over a range of values, as a coordinate of plotters.
//!
//! Invariant: a scale is finite and not empty, whatever the values are. Ticks are ours, since plotters' own compare against
//! an absolute epsilon and hang on the platform's `powf`.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::text::Font;

/// Values beyond this are not drawn: neither a metric nor a picture has a use for them.
const MOST: f64 = 1e9;

/// Whether a value can be drawn.
pub(super) fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= MOST
}

/// From values to places.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// Value at the start of the axis.
    pub low: f64,
    /// Value at its end.
    pub high: f64,
    /// Rising, with the numbers beside them.
    pub ticks: Vec<(f64, String)>,
    /// Whether equal factors lie equally far apart.
    logarithmic: bool,
}

impl Scale {
    /// Around values, from a tick on, with a little room above and below; of lengths from 0, where the values lie close
    /// enough to it.
    pub(super) fn around(values: impl Iterator<Item = f64>, lengths: bool) -> Self {
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
        Scale::ticked(libm::floor(from / step) * step, to, step)
    }

    /// From the first to the last value exactly, for an x axis.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values);
        let (low, high) = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
        Scale::ticked(low, high, step((high - low) / 8.0))
    }

    /// From the first to the last positive value, equal factors equally far apart; as [`Scale::over`] where there are none.
    pub(super) fn over_factors(values: impl Iterator<Item = f64>) -> Self {
        let positive: Vec<f64> = values.filter(|&value| drawable(value) && value > 0.0).collect();
        let (low, high) = bounds(positive.iter().copied());
        if positive.is_empty() || low == high {
            return Scale::over(positive.into_iter());
        }
        let exponent = |value| libm::floor(libm::log10(value) + 1e-9);
        let decades = exponent(low) as i32..=exponent(high) as i32;
        let steps = decades
            .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * libm::pow(10.0, f64::from(decade))));
        let inside = |tick: &f64| *tick >= low * (1.0 - 1e-9) && *tick <= high * (1.0 + 1e-9);
        let word = |tick: f64| format!("{tick:.*}", libm::fmax(0.0, -exponent(tick)) as usize);
        let ticks = steps.filter(inside).map(|tick| (tick, word(tick))).collect();
        Scale { low, high, ticks, logarithmic: true }
    }

    /// Slots for bars, which stand at 0, 1, 2 and so on.
    pub(super) fn slots(count: usize) -> Self {
        Scale { low: -0.8, high: count as f64 - 0.2, ticks: Vec::new(), logarithmic: false }
    }

    fn ticked(low: f64, high: f64, step: f64) -> Self {
        let mut decimals = 0;
        let mut unit = 1.0;
        while decimals < 9 && libm::fabs(step * unit - libm::round(step * unit)) > 1e-6 * step * unit {
            decimals += 1;
            unit *= 10.0;
        }
        let first = libm::ceil(low / step - 1e-9);
        let ticks = (0..64).map(|i| (first + f64::from(i)) * step);
        // Adding to +0 keeps -0 from being written.
        let word = |tick: f64| format!("{:.*}", decimals, tick + 0.0).replace('-', "−");
        let inside = ticks.take_while(|&tick| tick <= high + 1e-9 * step);
        Scale { low, high, ticks: inside.map(|tick| (tick, word(tick))).collect(), logarithmic: false }
    }

    /// With this much room at both ends of an axis of that length, and without numbers that would touch their neighbours.
    pub(super) fn fitted(mut self, room: i32, length: i32, font: Font) -> Self {
        let share = f64::from(room) / f64::from((length - 2 * room).max(1));
        if self.logarithmic {
            let factor = libm::pow(self.high / self.low, share);
            (self.low, self.high) = (self.low / factor, self.high * factor);
        } else {
            let beyond = share * (self.high - self.low);
            (self.low, self.high) = (self.low - beyond, self.high + beyond);
        }
        let mut free = i32::MIN;
        let places: Vec<i32> = self.ticks.iter().map(|(tick, _)| self.map(tick, (0, length))).collect();
        for ((_, word), at) in self.ticks.iter_mut().zip(places) {
            let half = font.width(word) / 2;
            if at - half > free {
                free = at + half + 30;
            } else {
                word.clear();
            }
        }
        self
    }

    /// Without any number.
    pub(super) fn silent(mut self) -> Self {
        self.ticks.iter_mut().for_each(|(_, word)| word.clear());
        self
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    /// Values outside stand at the ends.
    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = if self.logarithmic {
            libm::log(libm::fmax(*value, self.low) / self.low) / libm::log(self.high / self.low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        from + libm::round(share.clamp(0.0, 1.0) * f64::from(to - from)) as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // There are no minor ticks.
        let none = hint.weight().allow_light_points();
        self.ticks.iter().filter(|_| !none).map(|(tick, _)| *tick).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|(tick, _)| tick == value).map_or_else(String::new, |(_, word)| word.clone())
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
    let power = libm::pow(10.0, libm::floor(libm::log10(least)));
    let steps = [1.0, 2.0, 5.0].map(|digit| digit * power);
    steps.into_iter().find(|&step| step >= least * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}
