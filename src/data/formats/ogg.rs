//! Ogg Vorbis recordings of noise, brought to the rate of speech.
//!
//! Invariant: what is returned is one channel at 8 kHz. The filter is our own, fixed and portable; the Vorbis decoder
//! takes its window from the standard library's sine, so a decoded sample may differ in its last bit between C
//! libraries: data with noise is reproducible per platform, data without it everywhere.

use std::f64::consts::PI;
use std::io::Cursor;
use std::path::Path;

use lewton::inside_ogg::OggStreamReader;

use super::super::DataError;
use super::wav::RATE;

/// Zero crossings of the filter on either side.
const CROSSINGS: f64 = 32.0;
/// Where the filter cuts, as a share of the lower of the two Nyquist frequencies.
const CUT: f64 = 0.95;
/// Longest recording that is read, in samples: a few minutes.
const LONGEST: usize = 1 << 23;

/// The samples of a one-channel Ogg Vorbis file, resampled to 8 kHz; values in [-1, 1].
///
/// `path` is where `bytes` were read from, for messages.
///
/// # Errors
/// A file that is no Ogg Vorbis, breaks off, has several channels, or runs for minutes.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<f64>, DataError> {
    let name = || path.display().to_string();
    let broken = |error: lewton::VorbisError| DataError::Malformed {
        file: name(),
        expected: "a whole Ogg Vorbis file".into(),
        found: error.to_string(),
    };
    let mut reader = OggStreamReader::new(Cursor::new(bytes)).map_err(broken)?;
    let (channels, rate) = (reader.ident_hdr.audio_channels, reader.ident_hdr.audio_sample_rate);
    if channels != 1 || !(RATE..=192_000).contains(&rate) {
        let expected = "one channel at 8,000 to 192,000 Hz".into();
        let found = format!("{channels} channel(s) at {rate} Hz");
        return Err(DataError::Dtype { file: name(), expected, found });
    }
    let mut samples = Vec::new();
    while let Some(packet) = reader.read_dec_packet_itl().map_err(broken)? {
        samples.extend(packet.into_iter().map(|sample| f64::from(sample) / 32768.0));
        if samples.len() > LONGEST {
            let expected = format!("at most {LONGEST} samples");
            return Err(DataError::TooLarge { file: name(), expected, found: "more".into() });
        }
    }
    Ok(resample(&samples, rate))
}

/// Resamples to 8 kHz with a Hann-windowed sinc: 32 zero crossings on either side, cut at 0.95 of 4 kHz.
///
/// Output sample n stands at the time of input sample n * rate / 8000; beyond its ends the input is silent. Each
/// phase of the filter sums to 1.
fn resample(input: &[f64], rate: u32) -> Vec<f64> {
    if rate == RATE {
        return input.to_vec();
    }
    let (rate, target) = (rate as usize, RATE as usize);
    let cut = CUT * target as f64 / rate as f64;
    let half = (CROSSINGS / cut) as usize + 1;
    let phases = target / gcd(rate, target);
    let filters: Vec<Vec<f64>> = (0..phases)
        .map(|phase| {
            let fraction = (phase * rate % target) as f64 / target as f64;
            let taps: Vec<f64> = (0..2 * half)
                .map(|tap| {
                    let at = (tap as f64 - (half - 1) as f64 - fraction) * cut;
                    if at.abs() >= CROSSINGS {
                        0.0
                    } else {
                        sinc(at) * (0.5 + 0.5 * libm::cos(PI * at / CROSSINGS))
                    }
                })
                .collect();
            let sum: f64 = taps.iter().sum();
            taps.into_iter().map(|tap| tap / sum).collect()
        })
        .collect();
    (0..input.len() * target / rate)
        .map(|n| {
            let first = (n * rate / target) as isize - (half as isize - 1);
            let taps = filters[n % phases].iter().zip(first..);
            taps.filter_map(|(tap, at)| Some(tap * input.get(usize::try_from(at).ok()?)?)).sum()
        })
        .collect()
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { libm::sin(PI * x) / (PI * x) }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loudest sample away from the ends.
    fn peak(samples: &[f64]) -> f64 {
        samples[500..3500].iter().fold(0.0, |peak: f64, sample| peak.max(sample.abs()))
    }

    #[test]
    fn resampling_keeps_tones_below_the_cut_and_removes_those_above() {
        let tone = |hertz: f64, rate: f64, len: usize| -> Vec<f64> {
            (0..len).map(|n| libm::sin(2.0 * PI * hertz * n as f64 / rate)).collect()
        };
        for hertz in [100.0, 1000.0, 3300.0] {
            let resampled = resample(&tone(hertz, 44100.0, 22050), 44100);
            assert_eq!(resampled.len(), 4000);
            let error: Vec<f64> = resampled
                .iter()
                .zip(tone(hertz, 8000.0, 4000))
                .map(|(found, wanted)| found - wanted)
                .collect();
            assert!(peak(&error) < 2e-3, "{hertz}: {}", peak(&error));
        }
        assert!(peak(&resample(&tone(5000.0, 44100.0, 22050), 44100)) < 2e-3);
    }

    #[test]
    fn what_is_no_vorbis_is_refused() {
        for bytes in [&b""[..], b"OggS", b"RIFF0000WAVEfmt and more"] {
            let error = parse(Path::new("noise.ogg"), bytes).unwrap_err();
            assert!(matches!(error, DataError::Malformed { .. }), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn a_recording_is_whole_or_an_error() {
        let Some(data) = crate::data::avmnist::shared_data() else {
            println!("skipped: the shared real data is not here");
            return;
        };
        let path = data.join("esc10/001 - Dog bark/1-100032-A.ogg");
        let bytes = std::fs::read(&path).unwrap();
        let samples = parse(&path, &bytes).unwrap();
        assert!((39_000..=41_000).contains(&samples.len()), "{}", samples.len());
        assert!(samples.iter().all(|sample| sample.abs() <= 1.1));
        for cut in [bytes.len() - 1, bytes.len() / 2, 5000, 100] {
            let error = parse(&path, &bytes[..cut]).unwrap_err();
            assert!(matches!(error, DataError::Malformed { .. }), "cut to {cut}: {error}");
        }
    }
}
