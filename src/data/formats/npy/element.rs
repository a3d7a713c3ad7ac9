//! Types of the elements of an npy array, and their conversions.
//!
//! Invariant: conversions are those of Rust's `as`, which agree with numpy's `astype` for every finite value in
//! range; bytes are little-endian.

/// Type of an array's elements, with numpy's code without the byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
pub enum Dtype {
    /// One byte, zero or not.
    #[strum(serialize = "b1")]
    Bool,
    /// Signed integer, 8 bits.
    #[strum(serialize = "i1")]
    I8,
    /// Signed integer, 16 bits.
    #[strum(serialize = "i2")]
    I16,
    /// Signed integer, 32 bits.
    #[strum(serialize = "i4")]
    I32,
    /// Signed integer, 64 bits.
    #[strum(serialize = "i8")]
    I64,
    /// Unsigned integer, 8 bits.
    #[strum(serialize = "u1")]
    U8,
    /// Unsigned integer, 16 bits.
    #[strum(serialize = "u2")]
    U16,
    /// Unsigned integer, 32 bits.
    #[strum(serialize = "u4")]
    U32,
    /// Unsigned integer, 64 bits.
    #[strum(serialize = "u8")]
    U64,
    /// Float, 32 bits.
    #[strum(serialize = "f4")]
    F32,
    /// Float, 64 bits.
    #[strum(serialize = "f8")]
    F64,
}

impl Dtype {
    /// numpy's code without the byte order: `f4`.
    pub fn code(self) -> &'static str {
        self.into()
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::Bool | Dtype::I8 | Dtype::U8 => 1,
            Dtype::I16 | Dtype::U16 => 2,
            Dtype::I32 | Dtype::U32 | Dtype::F32 => 4,
            Dtype::I64 | Dtype::U64 | Dtype::F64 => 8,
        }
    }

    /// Whether the elements are whole numbers (or truth values).
    pub fn is_integer(self) -> bool {
        !matches!(self, Dtype::F32 | Dtype::F64)
    }
}

/// A Rust type that an npy array can hold.
pub(crate) trait Element: Copy {
    /// Its type in the file.
    const DTYPE: Dtype;
    /// From `DTYPE.size()` little-endian bytes; `None` for any other number of bytes.
    fn from_le(bytes: &[u8]) -> Option<Self>;
    /// Appends its little-endian bytes.
    fn put_le(self, out: &mut Vec<u8>);
    /// As a 32-bit float, rounded to nearest.
    fn as_f32(self) -> f32;
    /// As a 64-bit float, rounded to nearest.
    fn as_f64(self) -> f64;
}

macro_rules! element {
    ($($type:ty => $dtype:ident),*) => {$(
        #[allow(clippy::cast_lossless)]
        impl Element for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            fn from_le(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
            fn put_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn as_f32(self) -> f32 {
                self as f32
            }
            fn as_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

element!(i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64, f32 => F32, f64 => F64);

impl Element for bool {
    const DTYPE: Dtype = Dtype::Bool;
    fn from_le(bytes: &[u8]) -> Option<Self> {
        <u8 as Element>::from_le(bytes).map(|byte| byte != 0)
    }
    fn put_le(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
    fn as_f32(self) -> f32 {
        f32::from(u8::from(self))
    }
    fn as_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
}

/// Decodes as many elements as `out` holds; `bytes` holds exactly those.
fn decode_as<T: Element, O>(bytes: &[u8], out: &mut [O], convert: impl Fn(T) -> O) {
    for (element, out) in bytes.chunks_exact(T::DTYPE.size()).zip(out) {
        if let Some(value) = T::from_le(element) {
            *out = convert(value);
        }
    }
}

macro_rules! for_dtype {
    ($dtype:expr, $function:ident($bytes:expr, $out:expr, $convert:ident)) => {
        match $dtype {
            Dtype::Bool => $function::<bool, _>($bytes, $out, Element::$convert),
            Dtype::I8 => $function::<i8, _>($bytes, $out, Element::$convert),
            Dtype::I16 => $function::<i16, _>($bytes, $out, Element::$convert),
            Dtype::I32 => $function::<i32, _>($bytes, $out, Element::$convert),
            Dtype::I64 => $function::<i64, _>($bytes, $out, Element::$convert),
            Dtype::U8 => $function::<u8, _>($bytes, $out, Element::$convert),
            Dtype::U16 => $function::<u16, _>($bytes, $out, Element::$convert),
            Dtype::U32 => $function::<u32, _>($bytes, $out, Element::$convert),
            Dtype::U64 => $function::<u64, _>($bytes, $out, Element::$convert),
            Dtype::F32 => $function::<f32, _>($bytes, $out, Element::$convert),
            Dtype::F64 => $function::<f64, _>($bytes, $out, Element::$convert),
        }
    };
}

/// Decodes `out.len()` elements of type `dtype` to 32-bit floats.
pub(super) fn decode_f32(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    for_dtype!(dtype, decode_as(bytes, out, as_f32));
}

/// Decodes `out.len()` elements of type `dtype` to 64-bit floats.
pub(super) fn decode_f64(dtype: Dtype, bytes: &[u8], out: &mut [f64]) {
    for_dtype!(dtype, decode_as(bytes, out, as_f64));
}
