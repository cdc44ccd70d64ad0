//! Which known name somebody perhaps meant.

/// Names that differ more were not meant.
const DIFFERENCES_MAX: usize = 3;

/// The known name that is most like `name`, if one is like it.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes time by the product of both lengths.
    if name.len() > 100 {
        return None;
    }
    let most = DIFFERENCES_MAX.min(name.chars().count().div_ceil(2));
    let distances = known.into_iter().map(|known| (differences(known, name), known));
    distances.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= most).map(|(_, known)| known)
}

/// How many characters have to be changed, added or left out to make one name of the other.
fn differences(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, character) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(row.first_mut().unwrap_or(&mut 0), place + 1);
        let mut left = place + 1;
        for (cell, wanted) in row.iter_mut().skip(1).zip(&other) {
            let changed = diagonal + usize::from(character != *wanted);
            diagonal = *cell;
            *cell = changed.min(*cell + 1).min(left + 1);
            left = *cell;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{differences, nearest};

    #[test]
    fn names_differ_by_changed_added_and_missing_characters() {
        assert_eq!(differences("lead_type", "lead_typ"), 1);
        assert_eq!(differences("leadtype", "lead_type"), 1);
        assert_eq!(differences("abc", "abd"), 1);
        assert_eq!(differences("", "abc"), 3);
        assert_eq!(differences("same", "same"), 0);
        assert_eq!(nearest("lead_typ", ["status", "lead_type"]), Some("lead_type"));
        assert_eq!(nearest("xy", ["status", "at"]), None);
    }
}
