//! Names: which are usable, and which was probably meant.
//!
//! Invariant: an unknown name is told with those that there are.

/// Whether a name is of letters, digits, `-` and `_`, so that it can stand in names of metrics and files.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// That there are names, all of them plain and different; `what` says whose in the message.
///
/// # Errors
/// No name, one that is not plain, or one that stands there twice.
pub(crate) fn differ(what: &str, names: &[&str]) -> Result<(), String> {
    if names.is_empty() {
        return Err(format!("{what}: there are none"));
    }
    for (place, name) in names.iter().enumerate() {
        if !is_plain(name) {
            return Err(format!("{what}: expected letters, digits, `-` and `_`, found `{name}`"));
        }
        if names[..place].contains(name) {
            return Err(format!("{what}: `{name}` stands there twice"));
        }
    }
    Ok(())
}

/// The name that was probably meant; `None` where none is like it.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut nearest: Option<(f64, &str)> = None;
    for name in names {
        // One letter too many, too few, wrong or swapped with the next is a slip, however short the name.
        let slip = if strsim::osa_distance(wanted, name) == 1 { 0.95 } else { 0.0 };
        let likeness = strsim::jaro_winkler(wanted, name).max(slip);
        if likeness > nearest.map_or(0.7, |(best, _)| best) {
            nearest = Some((likeness, name));
        }
    }
    nearest.map(|(_, name)| name)
}

/// `; did you mean `mimic`?`, or nothing where no name is near.
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// A name that something does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{owner} has no {what} `{asked}`: expected {}", self.possible())]
pub struct UnknownName {
    /// What was asked for.
    pub what: &'static str,
    /// Who should have it.
    pub owner: String,
    /// The name.
    pub asked: String,
    /// The names that there are.
    pub names: Vec<String>,
}

impl UnknownName {
    /// `owner` has no `what` called `asked`, but `names`.
    pub fn new<S: Into<String>>(
        what: &'static str,
        owner: &str,
        asked: &str,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        UnknownName { what, owner: owner.to_owned(), asked: asked.to_owned(), names }
    }

    /// The names that there are, and which of them was probably meant.
    pub fn possible(&self) -> String {
        let near = nearest(&self.asked, self.names.iter().map(String::as_str));
        let hint = near.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
        match &self.names[..] {
            [] => "none".to_owned(),
            [only] => format!("`{only}`{hint}"),
            several => format!("one of {}{hint}", several.join(", ")),
        }
    }
}
