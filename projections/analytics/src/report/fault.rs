//! What is wrong with a document, all of it at once, each fault with its path and what would be right.

use std::fmt;

use crate::nearest::nearest;

/// Something in a document that can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, such as `measures[1].field`; empty for the whole.
    pub path: String,
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// More are not told: whoever made so many has misunderstood something larger.
const FAULTS_MAX: usize = 50;
/// A longer text of the caller's is not repeated to them.
const SHOWN_MAX: usize = 60;

/// Faults as they are found.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(Fault { path: path.into(), code, message: message.into() });
        }
    }

    /// A word that is none of those that are known.
    pub(crate) fn unknown<'a>(
        &mut self,
        path: impl Into<String>,
        what: &str,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let shown = shown(word);
        let message = match nearest(word, known.iter().copied()) {
            Some(near) => format!("There is no {what} \"{shown}\"; did you mean \"{near}\"?"),
            None if known.len() <= 12 => format!("There is no {what} \"{shown}\"; there are: {}.", known.join(", ")),
            None => format!("There is no {what} \"{shown}\"."),
        };
        let code = if what == "field" { "unknown_field" } else { "unknown_value" };
        self.add(path, code, message);
    }

    pub(crate) fn found(self) -> Vec<Fault> {
        self.0
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A caller's text as a message repeats it.
pub(crate) fn shown(text: &str) -> String {
    let plain = text.chars().filter(|character| !character.is_control());
    let mut shown: String = plain.take(SHOWN_MAX + 1).collect();
    if shown.chars().count() > SHOWN_MAX {
        shown.pop();
        shown.push('…');
    }
    shown
}
