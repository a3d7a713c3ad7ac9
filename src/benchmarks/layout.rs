//! Rows and columns of a table, as the paper prints them, and how they are drawn where it prints a figure.
//!
//! Invariant: a layout is static data; ids are unique within a table and every row has a mark for every check head.

/// How a layout is drawn: columns are panels, those of different groups in different rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chart {
    /// A bar per row of the layout, in its order.
    Bars,
    /// Rows are points of curves and are called `<method>@<number>`: `i2m2@5`. A curve is named by its rows' group, or
    /// by the method where they have none.
    Curves {
        /// What the number is, with its unit.
        x: &'static str,
    },
}

/// Rows that are the points of a curve: `method@level` under a group, with a unit behind the levels.
macro_rules! points {
    ($method:literal, $group:expr, $unit:literal, [$($level:literal),+]) => {
        [$($crate::benchmarks::Row::new(concat!($method, "@", $level), concat!($level, $unit)).under($group)),+]
    };
}
pub(super) use points;

/// A head in plain text and, where that differs by more than escaping, in LaTeX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// Plain text.
    pub text: &'static str,
    /// LaTeX, when it is not the escaped text.
    pub latex: Option<&'static str>,
}

impl Heading {
    /// A head that is plain text everywhere.
    pub(crate) const fn text(text: &'static str) -> Self {
        Heading { text, latex: None }
    }

    /// A head with mathematics.
    pub(crate) const fn math(text: &'static str, latex: &'static str) -> Self {
        Heading { text, latex: Some(latex) }
    }
}

/// A column of check marks: which dependencies a row models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CheckHeading {
    /// Neighbours with the same group stand under it.
    pub group: &'static str,
    /// Heading under the group; may be empty.
    pub head: &'static str,
}

/// A column of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its part of a cell's address.
    pub id: &'static str,
    /// Neighbours with the same group stand under it; empty for none.
    pub group: &'static str,
    /// Its head.
    pub head: Heading,
}

/// A row of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its part of a cell's address.
    pub id: &'static str,
    /// Neighbours with the same group stand under it; empty for none.
    pub group: &'static str,
    /// Its head; empty where the check marks say it.
    pub head: Heading,
    /// One mark per check head.
    pub checks: &'static [bool],
}

/// A table's rows and columns in the paper's order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Columns of check marks, before the numbers.
    pub checks: &'static [CheckHeading],
    /// Columns of numbers.
    pub columns: &'static [Column],
    /// Rows.
    pub rows: &'static [Row],
}

impl Layout {
    /// No rows and no columns.
    pub(crate) const NONE: Layout = Layout { checks: &[], columns: &[], rows: &[] };

    /// Whether the rows have heads beside their check marks.
    pub(crate) fn has_row_heads(&self) -> bool {
        self.rows.iter().any(|row| !row.head.text.is_empty())
    }
}

impl Column {
    /// A column without a group.
    pub(crate) const fn new(id: &'static str, head: &'static str) -> Self {
        Column { id, group: "", head: Heading::text(head) }
    }

    /// Group and head: `ICD-9 140 – 239`.
    pub(crate) fn full_head(&self) -> String {
        match self.group {
            "" => self.head.text.to_owned(),
            group => format!("{group} {}", self.head.text),
        }
    }

    /// The column under a group of columns.
    pub(crate) const fn under(self, group: &'static str) -> Self {
        Column { group, ..self }
    }
}

impl Row {
    /// A row without a group and without check marks.
    pub(crate) const fn new(id: &'static str, head: &'static str) -> Self {
        Row { id, group: "", head: Heading::text(head), checks: &[] }
    }

    /// A row whose check marks say what it is.
    pub(crate) const fn checked(id: &'static str, checks: &'static [bool]) -> Self {
        Row { id, group: "", head: Heading::text(""), checks }
    }

    /// The row under a group of rows.
    pub(crate) const fn under(self, group: &'static str) -> Self {
        Row { group, ..self }
    }
}
