//! Static columns and time series that show latent states, in the raw units of the MIMIC-III arrays.
//!
//! Invariant: the states can be read back exactly: static states differ in a flag or in their age band; a series
//! state is a signed cosine mode over the 24 hours, found by its projection whatever the nuisances. Such modes have
//! mean zero, so a channel's mean tells nothing: the order of the hours is needed.

use serde::Deserialize;

use super::picture::{cosine, noise_gain};
use super::settings::{SettingsError, require};
use crate::random::Stream;

/// Hours of a series.
pub(super) const STEPS: usize = 24;
/// Channels of a series: GCS, systolic pressure, heart rate, temperature, PaO2/FiO2, urine, BUN, WBC, bicarbonate,
/// sodium, potassium, bilirubin.
pub(super) const CHANNELS: usize = 12;
/// Columns of the static modality: age in days, AIDS, hematologic malignancy, metastatic cancer, admission type.
pub(super) const STATICS: usize = 5;
const DAYS_PER_YEAR: f64 = 365.242;

/// What a latent state of the static modality looks like.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticState {
    /// Years: the age is drawn uniformly from this band.
    pub age: [f64; 2],
    /// 0 or 1.
    pub aids: u8,
    /// 0 or 1.
    pub hematologic: u8,
    /// 0 or 1.
    pub metastatic: u8,
    /// 0 medical, 1 scheduled surgical, 2 unscheduled surgical.
    pub admission: u8,
}

/// One channel of the series, in its raw unit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    /// Typical value.
    pub level: f64,
    /// How far a patient's own level is from it at most.
    pub spread: f64,
    /// Amplitude of the state's pattern; negative: upside down; 0: the channel tells nothing.
    pub amplitude: f64,
    /// Largest noise of a value.
    pub noise: f64,
    /// Probability that the whole channel is missing (NaN).
    #[serde(default)]
    pub missing: f64,
    /// Probability that a value is infinite, as in ratios of real files.
    #[serde(default)]
    pub infinite: f64,
}

/// The time series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSettings {
    /// Half waves over the 24 hours and sign, one pair per state.
    pub patterns: Vec<(usize, i8)>,
    /// The twelve channels, in the order of the arrays.
    pub channels: Vec<ChannelSettings>,
}

impl StaticState {
    fn flags(&self) -> [u8; 4] {
        [self.aids, self.hematologic, self.metastatic, self.admission]
    }

    pub(super) fn check_all(states: &[Self]) -> Result<(), SettingsError> {
        let place = "rendering.static_states";
        for (i, state) in states.iter().enumerate() {
            let [low, high] = state.age;
            let valid = low > 0.0 && low < high && state.flags()[..3].iter().all(|&flag| flag < 2);
            require(
                valid && state.admission < 3,
                place,
                "an age band, flags 0 or 1, admission 0 to 2",
                state,
            )?;
            let apart = |other: &Self| other.age[1] <= low || high <= other.age[0];
            let told = states[..i].iter().all(|other| other.flags() != state.flags() || apart(other));
            require(told, place, "states that differ in a flag or in their age band", state)?;
        }
        Ok(())
    }

    /// Appends age in days and the four flags.
    pub(super) fn render(&self, stream: &mut Stream, out: &mut Vec<f64>) {
        out.push(DAYS_PER_YEAR * stream.uniform_in(self.age[0], self.age[1]));
        out.extend(self.flags().map(f64::from));
    }

    /// The state that five columns show.
    #[cfg(test)]
    pub(super) fn decode(states: &[Self], columns: &[f64]) -> usize {
        let years = columns[0] / DAYS_PER_YEAR;
        let shows = |state: &Self| {
            state.flags().map(f64::from)[..] == columns[1..] && state.age[0] <= years && years <= state.age[1]
        };
        states.iter().position(shows).unwrap()
    }
}

impl SeriesSettings {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let place = "rendering.series";
        require(
            self.channels.len() == CHANNELS,
            place,
            &format!("{CHANNELS} channels"),
            self.channels.len(),
        )?;
        let valid = |&(k, sign): &(usize, i8)| 0 < k && k < STEPS && sign.abs() == 1;
        require(
            self.patterns.iter().all(valid),
            place,
            "1 to 23 half waves and a sign 1 or -1",
            &self.patterns,
        )?;
        let distinct: std::collections::BTreeSet<_> = self.patterns.iter().collect();
        require(distinct.len() == self.patterns.len(), place, "patterns that differ", &self.patterns)?;
        let gain = self.patterns.iter().map(|&(k, _)| noise_gain(&cosine(k, STEPS))).fold(0.0, f64::max);
        let carriers: Vec<_> = self.channels.iter().filter(|channel| channel.amplitude != 0.0).collect();
        require(!carriers.is_empty(), place, "a channel with an amplitude", &self.channels)?;
        for channel in carriers {
            let clear = channel.amplitude.abs() > 2.0 * gain * channel.noise;
            require(clear, place, "noise below half of the amplitude in the projection", channel)?;
            let whole = channel.missing == 0.0 && channel.infinite == 0.0;
            require(whole, place, "missing values only in channels without amplitude", channel)?;
        }
        Ok(())
    }

    /// Appends the 24 x 12 values of one patient in a state.
    pub(super) fn render(&self, state: usize, stream: &mut Stream, out: &mut Vec<f32>) {
        let (k, sign) = self.patterns[state];
        let pattern = cosine(k, STEPS);
        let own = |channel: &ChannelSettings| {
            if stream.chance(channel.missing) {
                return f64::NAN;
            }
            channel.level + stream.uniform_in(-channel.spread, channel.spread)
        };
        let levels: Vec<f64> = self.channels.iter().map(own).collect();
        for wave in pattern {
            for (channel, level) in self.channels.iter().zip(&levels) {
                let signal = channel.amplitude * f64::from(sign) * wave;
                let noise = stream.uniform_in(-channel.noise, channel.noise);
                let infinite = stream.chance(channel.infinite);
                out.push(if infinite { f32::INFINITY } else { (level + signal + noise) as f32 });
            }
        }
    }

    /// The state that 24 x 12 values show, from one carrying channel.
    #[cfg(test)]
    pub(super) fn decode(&self, values: &[f32], channel: usize) -> usize {
        let projection = |&(k, sign): &(usize, i8)| {
            let wave = cosine(k, STEPS);
            let along = wave.iter().zip(values[channel..].iter().step_by(CHANNELS));
            let energy: f64 = wave.iter().map(|w| w * w).sum();
            f64::from(sign)
                * self.channels[channel].amplitude.signum()
                * along.map(|(w, &v)| w * f64::from(v)).sum::<f64>()
                / energy
        };
        let scores: Vec<f64> = self.patterns.iter().map(projection).collect();
        (0..scores.len()).max_by(|&i, &j| scores[i].total_cmp(&scores[j])).unwrap()
    }
}
