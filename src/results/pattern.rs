//! Which cells `--only` means.

use wildmatch::WildMatch;

use crate::engine::plan::CellId;

/// Whether a cell is meant by one of the patterns: a whole id with `*` and `?`, or just a row's or a column's id. Without a
/// pattern every cell is.
pub(super) fn matches(patterns: &[String], cell: &CellId) -> bool {
    let meant = |pattern: &String| {
        let glob = WildMatch::new(pattern);
        glob.matches(&cell.to_string()) || glob.matches(&cell.row) || glob.matches(&cell.column)
    };
    patterns.is_empty() || patterns.iter().any(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_an_id_a_row_or_a_column() {
        let cell = CellId { benchmark: "table2".into(), column: "mortality".into(), row: "i2m2".into() };
        for pattern in ["table2:mortality:i2m2", "table2:*:i2m2", "*", "i2m2", "mort*", "table2:mortality:*"]
        {
            assert!(matches(&[pattern.to_owned()], &cell), "{pattern}");
        }
        for pattern in ["table1:*", "intra", "i2m", "table2", ""] {
            assert!(!matches(&[pattern.to_owned()], &cell), "{pattern}");
        }
        assert!(matches(&[], &cell));
        assert!(matches(&["intra".to_owned(), "i2m2".to_owned()], &cell));
    }
}
