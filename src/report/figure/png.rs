//! An SVG of ours as a PNG.
//!
//! Invariant: it is the very SVG that is rasterised, in the font that is compiled in; no font of the system is looked at.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{Options, Tree};

use super::FigureError;

/// Longest side in pixels.
const MOST: u32 = 16_384;

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    for file in [dejavu::sans::regular(), dejavu::sans::bold()] {
        fonts.load_font_source(Source::Binary(Arc::new(file)));
    }
    Arc::new(fonts)
});

pub(super) fn options() -> Options<'static> {
    Options { fontdb: Arc::clone(&FONTS), ..Options::default() }
}

/// What [`super::svg`] drew as a PNG; at scale 1 it is at most 720 pixels wide, which is 7.2 inches at 100 dots per inch.
///
/// # Errors
/// A scale that is no positive number or makes the picture larger than 16,384 pixels a side.
pub(crate) fn png(svg: &str, scale: f64) -> Result<Vec<u8>, FigureError> {
    let tree = Tree::from_str(svg, &options()).map_err(|error| FigureError::Encoding(error.to_string()))?;
    let (width, height) = (f64::from(tree.size().width()), f64::from(tree.size().height()));
    let refused = || FigureError::Size { width, height, scale, most: MOST };
    let side = |length: f64| {
        let pixels = libm::ceil(length * scale - 1e-3);
        (pixels >= 1.0 && pixels <= f64::from(MOST)).then_some(pixels as u32)
    };
    let (Some(across), Some(down)) = (side(width), side(height)) else { return Err(refused()) };
    let mut picture = Pixmap::new(across, down).ok_or_else(refused)?;
    resvg::render(&tree, Transform::from_scale(scale as f32, scale as f32), &mut picture.as_mut());
    picture.encode_png().map_err(|error| FigureError::Encoding(error.to_string()))
}
