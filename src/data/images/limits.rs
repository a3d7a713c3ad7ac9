//! What an image may cost, decided before memory is taken.
//!
//! Invariant: no file makes a decoder take more memory than a fixed multiple of `pixels`, whatever its header says.

use crate::data::DataError;

/// The largest images that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a file.
    pub file_bytes: u64,
    /// Columns, and rows.
    pub side: usize,
    /// Columns times rows.
    pub pixels: u64,
}

impl Default for Limits {
    /// 64 MiB, 32,768 columns or rows, and as many pixels as Pillow opens without a warning. COCO's largest image has 0.4 million.
    fn default() -> Self {
        Limits { file_bytes: 64 << 20, side: 1 << 15, pixels: (1 << 30) / 4 / 3 }
    }
}

impl Limits {
    /// Refuses a file that is too long.
    ///
    /// # Errors
    /// [`DataError::TooLarge`].
    pub(super) fn check_bytes(&self, file: &str, bytes: u64) -> Result<(), DataError> {
        if bytes <= self.file_bytes {
            return Ok(());
        }
        Err(too_large(
            file,
            format!("an image of at most {} bytes", self.file_bytes),
            format!("{bytes} bytes"),
        ))
    }

    /// Refuses sides that are 0 or too large, and more pixels than `bytes` of a format can hold that has at most
    /// `pixels_per_byte`.
    ///
    /// # Errors
    /// [`DataError::Malformed`] and [`DataError::TooLarge`].
    pub(super) fn check_sides(
        &self,
        file: &str,
        [width, height]: [usize; 2],
        bytes: usize,
        pixels_per_byte: u64,
    ) -> Result<(), DataError> {
        let found = format!("{width} x {height} pixels");
        if width == 0 || height == 0 {
            return Err(DataError::Malformed {
                file: file.to_owned(),
                expected: "an image of at least one pixel".into(),
                found,
            });
        }
        if width > self.side || height > self.side {
            return Err(too_large(file, format!("at most {} columns and rows", self.side), found));
        }
        let pixels = width as u64 * height as u64;
        if pixels > self.pixels {
            return Err(too_large(file, format!("at most {} pixels", self.pixels), found));
        }
        let possible = (bytes as u64).saturating_mul(pixels_per_byte);
        if pixels > possible {
            return Err(too_large(
                file,
                format!("at most {possible} pixels, all that {bytes} bytes can hold"),
                found,
            ));
        }
        Ok(())
    }
}

fn too_large(file: &str, expected: String, found: String) -> DataError {
    DataError::TooLarge { file: file.to_owned(), expected, found }
}
