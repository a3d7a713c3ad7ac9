//! Settings of the synthetic fastMRI, as they stand in `fixtures/fastmri*.toml`.
//!
//! Invariant: settings that pass [`KneeSettings::check`] describe proper distributions and slices that can be drawn.

use serde::Deserialize;

use crate::data::fastmri::Geometry;
use crate::data::synthetic::settings::{SettingsError, require};
use crate::protocol::{DatasetName, Finding, KneeFixture};

/// States of a lesion in each modality: none, dark, bright.
pub(super) const STATES: usize = 3;

/// Everything that determines the files' bytes and the references.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KneeSettings {
    /// Root of the generator's seed tree.
    pub seed: u64,
    /// How many volumes there are, and of what width.
    pub volumes: Volumes,
    /// Sizes; a tenth or less of the real ones.
    pub geometry: Geometry,
    /// What slices look like.
    pub rendering: Rendering,
    /// In the order of the heads.
    pub findings: Vec<FindingSettings>,
}

/// How many volumes there are, and of what width.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volumes {
    /// Volumes.
    pub count: usize,
    /// Slices of each.
    pub slices: usize,
    /// Columns of k-space, volume after volume, over and over.
    pub columns: Vec<usize>,
    /// Volumes that are wider than the geometry.
    pub wide: Vec<usize>,
}

/// What slices look like. Amplitudes are in units of the mean magnitude and in radians, sizes in shares of a quadrant.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rendering {
    /// Mean magnitude in the file.
    pub scale: f64,
    /// Range of the gain of a slice.
    pub gain: [f64; 2],
    /// Amplitude of the magnitude's smooth texture.
    pub texture: f64,
    /// Amplitude of the phase's smooth background.
    pub coil: f64,
    /// Largest offset of a slice's phase.
    pub offset: f64,
    /// Contrast of a lesion in the magnitude.
    pub magnitude_lesion: f64,
    /// Contrast of a lesion in the phase.
    pub phase_lesion: f64,
    /// Radius of a lesion.
    pub size: f64,
    /// Largest displacement of a lesion, down and across.
    pub jitter: f64,
    /// Amplitude of uniform noise in the magnitude.
    pub magnitude_noise: f64,
    /// Amplitude of uniform noise in the phase.
    pub phase_noise: f64,
    /// Amplitude of uniform noise in the RSS reconstruction.
    pub rss_noise: f64,
    /// Magnitude outside of the crop.
    pub background: f64,
}

/// p(y), p(a | y), p(b | y) and p(v = 1 | a, b, y) of one finding, as weights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingSettings {
    /// Which.
    pub finding: Finding,
    /// Weights of its absence and presence.
    pub prior: [f64; 2],
    /// What the magnitude's state says.
    pub first: Evidence,
    /// What the phase's state says.
    pub second: Evidence,
    /// Which slices are kept.
    pub selection: Selection,
}

/// What a state says about a finding.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Log weight of what a state favours.
    pub strength: f64,
    /// For each state: 0 favours absence, 1 presence, -1 neither.
    pub favours: [i8; STATES],
}

/// p(v = 1 | a, b, y): 1 where y is what the states select, exp(-strength) otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// 0 for no interaction.
    pub strength: f64,
    /// `selects[a][b]`: 0 or 1.
    pub selects: [[u8; STATES]; STATES],
}

impl KneeSettings {
    /// The embedded settings of a fixture.
    ///
    /// # Errors
    /// Only if they were damaged before they were compiled in.
    pub fn embedded(fixture: KneeFixture) -> Result<Self, SettingsError> {
        KneeSettings::parse(match fixture {
            KneeFixture::Additive => include_str!("../../../../fixtures/fastmri.toml"),
            KneeFixture::Interaction => include_str!("../../../../fixtures/fastmri-interaction.toml"),
        })
    }

    /// Reads and checks settings.
    ///
    /// # Errors
    /// Text that is not TOML or not these fields, and numbers that describe nothing.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: KneeSettings = toml::from_str(text).map_err(|source| SettingsError::Syntax {
            dataset: DatasetName::Fastmri,
            source: Box::new(source),
        })?;
        settings.check()?;
        Ok(settings)
    }

    /// Checks what the types cannot hold.
    fn check(&self) -> Result<(), SettingsError> {
        let KneeSettings { volumes, geometry, rendering, findings, .. } = self;
        let Geometry { rows, columns, side } = *geometry;
        let sizes = side >= 8 && side.is_multiple_of(2) && side + 2 <= rows && side + 2 <= columns;
        require(sizes, "geometry", "an even side of at least 8, two less than rows and columns", geometry)?;
        let widths = !volumes.columns.is_empty()
            && volumes.columns.iter().all(|&width| width <= columns && width * 10 >= columns * 7);
        require(widths, "volumes.columns", "widths from 0.7 of the geometry's columns", &volumes.columns)?;
        require(
            volumes.count > 0 && volumes.slices > 0 && volumes.slices <= 1000,
            "volumes",
            "volumes and slices",
            volumes,
        )?;
        let Rendering { scale, gain: [low, high], background, size, .. } = *rendering;
        require(scale > 0.0 && scale.is_finite(), "rendering.scale", "a number above 0", scale)?;
        require(
            low > 0.0 && low <= high && high.is_finite(),
            "rendering.gain",
            "a range above 0",
            (low, high),
        )?;
        require(size > 0.0 && size < 0.5, "rendering.size", "a share of a quadrant", size)?;
        let amplitudes = [
            background,
            rendering.texture,
            rendering.coil,
            rendering.offset,
            rendering.magnitude_lesion,
            rendering.phase_lesion,
            rendering.jitter,
            rendering.magnitude_noise,
            rendering.phase_noise,
            rendering.rss_noise,
        ];
        let possible = amplitudes.iter().all(|value| value.is_finite() && *value >= 0.0);
        require(possible, "rendering", "amplitudes of 0 or more", rendering)?;
        let named: Vec<Finding> = findings.iter().map(|finding| finding.finding).collect();
        require(named == Finding::ALL, "findings", &format!("{:?}", Finding::ALL), &named)?;
        findings.iter().try_for_each(FindingSettings::check)
    }
}

impl FindingSettings {
    fn check(&self) -> Result<(), SettingsError> {
        let place = |what: &str| format!("{}: {what}", self.finding.name());
        let positive = self.prior.iter().all(|&weight| weight > 0.0 && weight.is_finite());
        require(positive, &place("prior"), "positive weights", self.prior)?;
        for (what, evidence) in [("first", &self.first), ("second", &self.second)] {
            let known = evidence.favours.iter().all(|favour| (-1..=1).contains(favour));
            require(known, &place(what), "0, 1 or -1 for each state", evidence.favours)?;
            require(evidence.strength.is_finite(), &place(what), "a finite strength", evidence.strength)?;
        }
        let Selection { strength, selects } = &self.selection;
        require(selects.iter().flatten().all(|&y| y < 2), &place("selects"), "0 or 1", selects)?;
        require(*strength >= 0.0 && strength.is_finite(), &place("strength"), "a number from 0", strength)
    }

    /// p(a, b, y | v = 1), `[a][b][y]`.
    pub(super) fn table(&self) -> [[[f64; 2]; STATES]; STATES] {
        let weight = |evidence: &Evidence, state: usize, y: usize| {
            let favoured = usize::try_from(evidence.favours[state]) == Ok(y);
            if favoured { libm::exp(evidence.strength) } else { 1.0 }
        };
        let mut table = [[[0.0; 2]; STATES]; STATES];
        let mut mass = 0.0;
        for (a, row) in table.iter_mut().enumerate() {
            for (b, cell) in row.iter_mut().enumerate() {
                for (y, value) in cell.iter_mut().enumerate() {
                    let selected = usize::from(self.selection.selects[a][b]) == y;
                    let kept = if selected { 1.0 } else { libm::exp(-self.selection.strength) };
                    *value = self.prior[y] * weight(&self.first, a, y) * weight(&self.second, b, y) * kept;
                    mass += *value;
                }
            }
        }
        table.iter_mut().flatten().flatten().for_each(|value| *value /= mass);
        table
    }
}
