//! From a slice's k-space to the centre of its complex image.
//!
//! Invariant: computed in `f64` with scalar code whose plan depends on the lengths alone, so a cache has the same bytes on
//! every machine; rounded to `f32` once, at the end.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlannerScalar};

use super::Geometry;
use super::Space;

/// The centre of a slice and how strong it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slice {
    /// Real part, side x side.
    pub real: Vec<f32>,
    /// Imaginary part, side x side.
    pub imaginary: Vec<f32>,
    /// The largest magnitude of the whole slice, before the crop: what noise is scaled by (Figure B.7).
    pub peak: f32,
}

/// Plans and buffers for slices of one geometry.
pub(super) struct Transform {
    geometry: Geometry,
    space: Space,
    rows: Arc<dyn Fft<f64>>,
    columns: Arc<dyn Fft<f64>>,
    image: Vec<Complex<f64>>,
    turned: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Transform {
    /// Prepares for slices of this geometry.
    pub(super) fn new(geometry: Geometry, space: Space) -> Self {
        let mut planner = FftPlannerScalar::new();
        let (rows, columns) =
            (planner.plan_fft_inverse(geometry.rows), planner.plan_fft_inverse(geometry.columns));
        let zero = Complex::new(0.0, 0.0);
        let scratch = rows.get_inplace_scratch_len().max(columns.get_inplace_scratch_len());
        let pixels = geometry.rows * geometry.columns;
        Transform {
            geometry,
            space,
            rows,
            columns,
            image: vec![zero; pixels],
            turned: vec![zero; pixels],
            scratch: vec![zero; scratch],
        }
    }

    /// Pads k-space (row-major, rows x `width`) to the geometry's columns, transforms it where images are asked for, and
    /// takes the centre out. `kspace` holds real and imaginary parts, `width` is at most the geometry's columns.
    ///
    /// # Panics
    /// If the sizes do not fit: a bug of the caller.
    pub(super) fn centre(&mut self, kspace: &[[f32; 2]], width: usize) -> Slice {
        let Geometry { rows, columns, side } = self.geometry;
        assert!(width <= columns && kspace.len() == rows * width, "the volume was checked");
        assert!(side <= rows && side <= columns, "the geometry was checked");
        let left = (columns - width) / 2;
        self.image.fill(Complex::new(0.0, 0.0));
        // Where an image is wanted, what stands in the middle goes to the corner (ifftshift).
        let [down, across] = match self.space {
            Space::Image => [rows - rows / 2, columns - columns / 2],
            Space::Kspace => [0, 0],
        };
        for (row, values) in kspace.chunks_exact(width).enumerate() {
            let line = &mut self.image[(row + down) % rows * columns..][..columns];
            for (column, &[real, imaginary]) in values.iter().enumerate() {
                line[(left + column + across) % columns] =
                    Complex::new(f64::from(real), f64::from(imaginary));
            }
        }
        if self.space == Space::Image {
            self.invert();
        }
        self.crop()
    }

    /// The orthonormal inverse transform of `image`, with the middle back in the middle (fftshift).
    fn invert(&mut self) {
        let Geometry { rows, columns, .. } = self.geometry;
        self.columns.process_with_scratch(&mut self.image, &mut self.scratch);
        for (row, line) in self.image.chunks_exact(columns).enumerate() {
            for (column, &value) in line.iter().enumerate() {
                self.turned[column * rows + row] = value;
            }
        }
        self.rows.process_with_scratch(&mut self.turned, &mut self.scratch);
        let scale = 1.0 / ((rows * columns) as f64).sqrt();
        for (column, line) in self.turned.chunks_exact(rows).enumerate() {
            let column = (column + columns / 2) % columns;
            for (row, &value) in line.iter().enumerate() {
                self.image[(row + rows / 2) % rows * columns + column] = value * scale;
            }
        }
    }

    fn crop(&self) -> Slice {
        let Geometry { rows, columns, side } = self.geometry;
        let (top, left) = ((rows - side) / 2, (columns - side) / 2);
        let largest = self.image.iter().map(Complex::norm_sqr).fold(0.0, f64::max);
        let mut slice = Slice { peak: largest.sqrt() as f32, ..Slice::default() };
        for line in self.image[top * columns..].chunks_exact(columns).take(side) {
            slice.real.extend(line[left..left + side].iter().map(|value| value.re as f32));
            slice.imaginary.extend(line[left..left + side].iter().map(|value| value.im as f32));
        }
        slice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: Geometry = Geometry { rows: 12, columns: 10, side: 6 };

    /// A wave of the image: k-space with one point.
    #[test]
    fn one_point_of_k_space_is_a_wave() {
        let mut kspace = vec![[0.0, 0.0]; 12 * 10];
        // The middle is row 6 and column 5; one step down and two to the right of it.
        kspace[7 * 10 + 7] = [1.0, 0.0];
        let slice = Transform::new(TINY, Space::Image).centre(&kspace, 10);
        for row in 0..6 {
            for column in 0..6 {
                let (y, x) = ((row + 3) as f64 - 6.0, (column + 2) as f64 - 5.0);
                let angle = std::f64::consts::TAU * (y / 12.0 + 2.0 * x / 10.0);
                let scale = 1.0 / 120f64.sqrt();
                let found = [slice.real[row * 6 + column], slice.imaginary[row * 6 + column]];
                for (found, expected) in found.into_iter().zip([angle.cos() * scale, angle.sin() * scale]) {
                    assert!((f64::from(found) - expected).abs() < 1e-8, "{row} {column}");
                }
            }
        }
        assert!((slice.peak - 1.0 / 120f32.sqrt()).abs() < 1e-7);
    }

    #[test]
    fn k_space_itself_is_padded_and_cropped() {
        let kspace: Vec<[f32; 2]> = (0..12 * 7).map(|i| [i as f32, -(i as f32)]).collect();
        let slice = Transform::new(TINY, Space::Kspace).centre(&kspace, 7);
        // Left padding floor(3 / 2) = 1; the crop begins at row 3, column 2: column 1 of the volume.
        assert_eq!(slice.real[..3], [22.0, 23.0, 24.0]);
        assert_eq!(slice.imaginary[0], -22.0);
        assert!((slice.peak - 83.0 * 2f32.sqrt()).abs() < 1e-4);
    }

    /// A volume of 36 slices of 640 x 368 in under 3 seconds on one core; with room for a busy machine.
    #[test]
    fn a_volume_takes_seconds_at_most() {
        let geometry = Geometry::FASTMRI;
        let kspace = vec![[0.5f32, -0.25]; 640 * 368];
        let mut transform = Transform::new(geometry, Space::Image);
        let begun = std::time::Instant::now();
        for _ in 0..36 {
            assert_eq!(transform.centre(&kspace, 368).real.len(), 320 * 320);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let limit = if cfg!(debug_assertions) { 120.0 } else { 6.0 };
        assert!(seconds < limit, "{seconds:.2} s");
    }
}
