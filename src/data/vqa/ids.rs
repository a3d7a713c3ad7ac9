//! Ids that clash or lead nowhere, counted and named.
//!
//! Invariant: a message counts all of them and names the smallest few.

use crate::data::DataError;

/// How many a message names.
const NAMED: usize = 5;

/// `3: 12, 15, 18`, or `7: 1, 2, 3, 4, 5, ...`.
fn listed(mut ids: Vec<u64>) -> String {
    ids.sort_unstable();
    ids.dedup();
    let named: Vec<String> = ids.iter().take(NAMED).map(u64::to_string).collect();
    let more = if ids.len() > NAMED { ", ..." } else { "" };
    format!("{}: {}{more}", ids.len(), named.join(", "))
}

/// `Ok` where there are no such ids, else what was expected, and `found` with the ids behind it.
pub(super) fn none(file: &str, expected: &str, found: &str, ids: Vec<u64>) -> Result<(), DataError> {
    if ids.is_empty() {
        return Ok(());
    }
    Err(DataError::Value {
        file: file.to_owned(),
        row: None,
        expected: expected.to_owned(),
        found: format!("{found} ({})", listed(ids)),
    })
}

/// Those that come more than once.
pub(super) fn repeated(ids: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut ids: Vec<u64> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_counted_and_the_smallest_named() {
        assert_eq!(repeated([3, 1, 3, 2, 3, 1]), [1, 3, 3]);
        assert_eq!(listed(vec![3, 1, 3]), "2: 1, 3");
        assert_eq!(listed((1..9).rev().collect()), "8: 1, 2, 3, 4, 5, ...");
        assert!(none("f", "e", "f", vec![]).is_ok());
    }
}
