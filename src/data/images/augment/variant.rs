//! Two operations of RandAugment have a bug in the released code that everybody's numbers come from.
//!
//! Invariant: every other operation is the same in both variants.

/// Which of two behaviours two operations have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// As the released code runs: auto-contrast whitens every channel that holds no black, and sharpness wraps around where it
    /// leaves the range of a byte.
    #[default]
    AsReleased,
    /// As they are meant: contrast is stretched, and what leaves the range is cut off.
    Fixed,
}
