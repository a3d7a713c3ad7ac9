//! Wave files of speech: 8 kHz, one channel, 16 bits.
//!
//! Invariant: what is returned has that format; the number of samples is what the file holds, not what its header
//! claims.

use std::path::Path;

use super::super::DataError;

/// Samples per second that speech must have.
pub(crate) const RATE: u32 = 8000;

/// The samples of a wave file, in [-1, 1): the 16-bit integers divided by 32768.
///
/// `path` is where `bytes` were read from, for messages.
///
/// # Errors
/// Another format, or a file that ends early.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<f64>, DataError> {
    let name = || path.display().to_string();
    let broken = |error: hound::Error| DataError::Malformed {
        file: name(),
        expected: "a whole wave file".into(),
        found: match error {
            hound::Error::IoError(_) => format!("one that ends early, after {} bytes", bytes.len()),
            other => other.to_string(),
        },
    };
    let reader = hound::WavReader::new(bytes).map_err(broken)?;
    let spec = reader.spec();
    let expected = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    if spec != expected {
        let words = |spec: hound::WavSpec| {
            let kind = match spec.sample_format {
                hound::SampleFormat::Int => "integers",
                hound::SampleFormat::Float => "floats",
            };
            format!(
                "{} channel(s) of {}-bit {kind} at {} Hz",
                spec.channels, spec.bits_per_sample, spec.sample_rate
            )
        };
        return Err(DataError::Dtype { file: name(), expected: words(expected), found: words(spec) });
    }
    reader
        .into_samples::<i16>()
        .map(|sample| sample.map(|sample| f64::from(sample) / 32768.0).map_err(broken))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_speech_and_refuses_anything_else() {
        let path = Path::new("clip.wav");
        let written = |rate| {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: rate,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut file = std::io::Cursor::new(Vec::new());
            let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
            for sample in [-32768i16, 0, 16384] {
                writer.write_sample(sample).unwrap();
            }
            writer.finalize().unwrap();
            file.into_inner()
        };
        let bytes = written(8000);
        assert_eq!(parse(path, &bytes).unwrap(), [-1.0, 0.0, 0.5]);
        for cut in 0..bytes.len() {
            let error = parse(path, &bytes[..cut]).unwrap_err();
            assert!(matches!(error, DataError::Malformed { .. }), "cut to {cut}: {error}");
        }
        let error = parse(path, &written(16000)).unwrap_err();
        assert!(matches!(&error, DataError::Dtype { found, .. } if found.contains("16000 Hz")), "{error}");
    }
}
