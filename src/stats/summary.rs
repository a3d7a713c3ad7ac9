//! Mean and standard deviation of a sample.
//!
//! Invariant: a standard deviation exists for two values or more; one value has a mean and nothing else.

/// Size, mean and standard deviation (n - 1 in the denominator) of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// Number of values, at least 1.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation with n - 1; `None` for a single value.
    pub std: Option<f64>,
}

impl Summary {
    /// Summarises values; `None` of an empty slice.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len();
        // Around the first value, so that equal values have exactly that mean and a deviation of zero.
        let origin = values[0];
        let mean = origin + values.iter().map(|value| value - origin).sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let std = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        Some(Summary { n, mean, std })
    }

    /// The standard deviation with n in the denominator, as numpy's `std` computes it by default.
    #[cfg(test)]
    pub(crate) fn population_std(&self) -> Option<f64> {
        self.std.map(|std| std * ((self.n - 1) as f64 / self.n as f64).sqrt())
    }

    /// A summary from a standard deviation that was taken with n in the denominator.
    pub(crate) fn from_population_std(n: usize, mean: f64, std: f64) -> Self {
        let std = (n > 1).then(|| std * (n as f64 / (n - 1) as f64).sqrt());
        Summary { n, mean, std }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summarises_known_values() {
        let summary = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!(summary.mean, 5.0);
        assert!((summary.population_std().unwrap() - 2.0).abs() < 1e-12);
        assert!((summary.std.unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
        let back = Summary::from_population_std(8, 5.0, 2.0);
        assert!((back.std.unwrap() - summary.std.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn one_value_has_no_deviation_and_none_has_no_summary() {
        assert_eq!(Summary::of(&[3.0]), Some(Summary { n: 1, mean: 3.0, std: None }));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn equal_values_deviate_by_exactly_nothing() {
        assert_eq!(Summary::of(&[91.42; 5]).unwrap(), Summary { n: 5, mean: 91.42, std: Some(0.0) });
    }
}
