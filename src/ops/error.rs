//! What an op refuses.

/// Why an op could not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// Operands do not fit each other. The remedy is in the model that calls the op, or in the data it is given.
    #[error("{op}: expected {expected}, found {found}")]
    Shape {
        /// The op.
        op: &'static str,
        /// What it needs.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// The device could not do it (usually: it is out of memory).
    #[error("{op}: the device failed: {reason}")]
    Device {
        /// The op.
        op: &'static str,
        /// What the device said.
        reason: String,
    },
}

impl OpError {
    /// A shape error.
    pub fn shape(op: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        OpError::Shape { op, expected: expected.into(), found: found.into() }
    }

    /// Turns a device's error into an op's: `.map_err(OpError::device("conv2d"))`.
    pub fn device<R: std::fmt::Display>(op: &'static str) -> impl FnOnce(R) -> Self {
        move |reason| {
            let reason = reason.to_string();
            OpError::Device { op, reason: detail(&reason).unwrap_or(reason) }
        }
    }
}

/// What the GPU's driver said, which dfdx's error has no room for; `None` for errors of another kind.
#[cfg(feature = "cuda")]
fn detail(reason: &str) -> Option<String> {
    if reason.starts_with("Driver(") { crate::device::cuda::take_detail() } else { None }
}

#[cfg(not(feature = "cuda"))]
fn detail(_reason: &str) -> Option<String> {
    None
}
