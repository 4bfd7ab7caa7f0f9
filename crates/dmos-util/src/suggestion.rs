//! Suggestions for unknown names.

/// Returns the known name that differs from `name` in at most a third of its letters, or only in their case.
///
/// ```
/// use dmos_util::suggestion::nearest;
/// assert_eq!(nearest("Doors", ["wood", "door"].into_iter()), Some("door"));
/// assert_eq!(nearest("house", ["wood", "door"].into_iter()), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|other| (strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase()), other))
        .filter(|&(distance, _)| distance * 3 <= name.chars().count().max(3))
        .min()
        .map(|(_, other)| other)
}
