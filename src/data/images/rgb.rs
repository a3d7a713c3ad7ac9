//! A colour image in memory.
//!
//! Invariant: `bytes` holds red, green and blue of every pixel, row by row, for exactly `width * height` pixels, at least one.

/// An image of 8-bit red, green and blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Rgb {
    /// An image of its bytes, row by row; `None` where they are not as many as its sides say, or a side is 0.
    pub fn new(width: usize, height: usize, bytes: Vec<u8>) -> Option<Self> {
        let wanted = width.checked_mul(height)?.checked_mul(3)?;
        (wanted > 0 && bytes.len() == wanted).then_some(Rgb { width, height, bytes })
    }

    /// An image of bytes that are as many as its sides say.
    pub(super) fn of(width: usize, height: usize, bytes: Vec<u8>) -> Self {
        debug_assert_eq!(bytes.len(), width * height * 3);
        Rgb { width, height, bytes }
    }

    /// An image whose pixel in column `x` and row `y` is `pixel(x, y)`; sides of 0 are taken for 1.
    pub(in crate::data) fn from_fn(
        width: usize,
        height: usize,
        mut pixel: impl FnMut(usize, usize) -> [u8; 3],
    ) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let mut bytes = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                bytes.extend(pixel(x, y));
            }
        }
        Rgb { width, height, bytes }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green and blue of every pixel, row by row.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The pixel in column `x` and row `y`; both must be inside.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]]
    }

    /// The part of `width` columns from `left` and `height` rows from `top`, as far as it is inside; at least one pixel.
    pub fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let (left, top) = (left.min(self.width - 1), top.min(self.height - 1));
        let (width, height) = (width.clamp(1, self.width - left), height.clamp(1, self.height - top));
        let row = |y: usize| &self.bytes[((top + y) * self.width + left) * 3..][..width * 3];
        Rgb { width, height, bytes: (0..height).flat_map(row).copied().collect() }
    }

    /// Left and right exchanged.
    pub fn mirrored(&self) -> Self {
        Rgb::from_fn(self.width, self.height, |x, y| self.pixel(self.width - 1 - x, y))
    }

    /// Every value of a channel replaced by its entry in the channel's table.
    pub(super) fn looked_up(mut self, tables: &[[u8; 256]; 3]) -> Self {
        for pixel in self.bytes.chunks_exact_mut(3) {
            for (value, table) in pixel.iter_mut().zip(tables) {
                *value = table[usize::from(*value)];
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_as_many_bytes_as_its_sides_say() {
        assert!(Rgb::new(2, 1, vec![0; 6]).is_some());
        for (width, height, len) in [(2, 1, 5), (2, 1, 7), (0, 1, 0), (usize::MAX, 2, 6)] {
            assert!(Rgb::new(width, height, vec![0; len]).is_none());
        }
    }

    #[test]
    fn parts_and_mirror_images() {
        let image = Rgb::from_fn(4, 3, |x, y| [x as u8, y as u8, 7]);
        let part = image.crop(1, 2, 2, 1);
        assert_eq!(part.bytes(), [1, 2, 7, 2, 2, 7]);
        assert_eq!(part.mirrored().bytes(), [2, 2, 7, 1, 2, 7]);
        assert_eq!(image.crop(0, 0, 4, 3), image);
        assert_eq!(image.crop(9, 9, 9, 9).bytes(), [3, 2, 7], "what is outside is not taken");
        assert_eq!(image.mirrored().mirrored(), image);
    }
}
