//! Checks of the op.
