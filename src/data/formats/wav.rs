//! Wave files of speech: 8 kHz, one channel, 16 bits.
//!
//! Invariant: what is returned has that format; the number of samples is what the file holds, not what its header
//! claims.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::super::DataError;

/// Samples per second that speech must have.
pub const RATE: u32 = 8000;

/// Reads the samples of a wave file, in [-1, 1): the 16-bit integers divided by 32768.
///
/// # Errors
/// A missing or unreadable file, another format, or a file that ends early.
pub fn read(path: &Path) -> Result<Vec<f64>, DataError> {
    let name = || path.display().to_string();
    let remedy = "get the Free Spoken Digit Dataset and pass its folder with --fsdd";
    let file = File::open(path).map_err(DataError::open(path, "a wave file", remedy))?;
    let reader = hound::WavReader::new(BufReader::new(file)).map_err(|error| broken(path, error))?;
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
        .map(|sample| sample.map(|sample| f64::from(sample) / 32768.0).map_err(|error| broken(path, error)))
        .collect()
}

fn broken(path: &Path, error: hound::Error) -> DataError {
    match error {
        hound::Error::IoError(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            DataError::io(path, "read it")(source)
        }
        error => DataError::Malformed {
            file: path.display().to_string(),
            expected: "a whole wave file".into(),
            found: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_speech_and_refuses_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.wav");
        let write = |rate| {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: rate,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut writer = hound::WavWriter::create(&path, spec).unwrap();
            for sample in [-32768i16, 0, 16384] {
                writer.write_sample(sample).unwrap();
            }
            writer.finalize().unwrap();
        };
        write(8000);
        assert_eq!(read(&path).unwrap(), [-1.0, 0.0, 0.5]);
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(matches!(read(&path).unwrap_err(), DataError::Malformed { .. }), "{cut}");
        }
        write(16000);
        let error = read(&path).unwrap_err();
        assert!(matches!(&error, DataError::Dtype { found, .. } if found.contains("16000 Hz")), "{error}");
        assert!(matches!(read(&folder.path().join("none")).unwrap_err(), DataError::Missing { .. }));
    }
}
