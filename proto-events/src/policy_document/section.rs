//! A table of the document: asks for keys by type, collects faults, and knows in the end which keys nobody asked for.

use std::cell::RefCell;

use lead_domain::{Name, Period};
use toml::{Table, Value};

use super::Fault;
use super::words::{Words, nearest, period};

/// One table while it is read.
pub(super) struct Section<'t> {
    table: &'t Table,
    path: String,
    known: Vec<&'static str>,
    faults: &'t RefCell<Vec<Fault>>,
}

impl<'t> Section<'t> {
    pub(super) fn root(table: &'t Table, faults: &'t RefCell<Vec<Fault>>) -> Self {
        Self { table, path: String::new(), known: Vec::new(), faults }
    }

    /// Reports a fault at `key`, a path relative to this table; empty for the table itself.
    pub(super) fn fault(&self, key: &str, code: &'static str, message: &str) {
        self.faults.borrow_mut().push(Fault::new(self.path_of(key), code, message));
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// The keys that are really there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn get(&mut self, key: &'static str) -> Option<&'t Value> {
        self.known.push(key);
        self.table.get(key)
    }

    fn wrong_type(&self, key: &str, right: &str) {
        self.fault(key, "wrong_type", &format!("must be {right}"));
    }

    fn missing(&self, key: &str) {
        self.fault(key, "missing", "is missing");
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<&'t str> {
        let text = self.get(key)?.as_str();
        if text.is_none() {
            self.wrong_type(key, "text");
        }
        text
    }

    /// A text that must be there and not be empty.
    pub(super) fn required_text(&mut self, key: &'static str) -> Option<&'t str> {
        if !self.has(key) {
            self.known.push(key);
            self.missing(key);
            return None;
        }
        let text = self.text(key)?;
        if text.trim().is_empty() {
            self.fault(key, "missing", "is empty");
            return None;
        }
        Some(text)
    }

    /// A name that must be there; empty where it is not, which is reported.
    pub(super) fn required_name(&mut self, key: &'static str) -> Name {
        self.required_text(key).map(Name::new).unwrap_or_default()
    }

    /// A name that may be missing but not be empty.
    pub(super) fn filled_name(&mut self, key: &'static str) -> Option<Name> {
        if self.has(key) {
            return self.required_text(key).map(Name::new);
        }
        self.known.push(key);
        None
    }

    pub(super) fn name(&mut self, key: &'static str) -> Option<Name> {
        self.text(key).map(Name::new)
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?.as_bool();
        if value.is_none() {
            self.wrong_type(key, "true or false");
        }
        value
    }

    /// A whole number within bounds.
    pub(super) fn integer(&mut self, key: &'static str, least: i64, most: i64) -> Option<i64> {
        let Some(number) = self.get(key)?.as_integer() else {
            self.wrong_type(key, "a whole number");
            return None;
        };
        if (least..=most).contains(&number) {
            return Some(number);
        }
        let message = match (least, most) {
            (least, i64::MAX) => format!("must be at least {least}"),
            (least, most) => format!("must be from {least} to {most}"),
        };
        self.fault(key, "out_of_range", &message);
        None
    }

    /// A whole number that must be there; `None` where it is not, which is reported.
    pub(super) fn required_integer(&mut self, key: &'static str, least: i64, most: i64) -> Option<i64> {
        if !self.has(key) {
            self.known.push(key);
            self.missing(key);
        }
        self.integer(key, least, most)
    }

    pub(super) fn period(&mut self, key: &'static str) -> Option<Period> {
        let text = self.text(key)?;
        let found = period(text);
        if found.is_none() {
            self.fault(
                key,
                "bad_duration",
                "must be a whole number and s, m, h or d, such as \"60s\", \"36h\" or \"7d\"",
            );
        }
        found
    }

    /// A period that must be more than nothing.
    pub(super) fn positive_period(&mut self, key: &'static str) -> Option<Period> {
        let found = self.period(key)?;
        if found == Period::default() {
            self.fault(key, "out_of_range", "must be more than 0");
            return None;
        }
        Some(found)
    }

    pub(super) fn required_period(&mut self, key: &'static str) -> Option<Period> {
        if !self.has(key) {
            self.known.push(key);
            self.missing(key);
        }
        self.positive_period(key)
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: Words<T>) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let allowed: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.fault(key, "bad_word", &format!("must be one of {}", allowed.join(", ")));
        None
    }

    /// A word that must be there.
    pub(super) fn required_word<T: Copy>(&mut self, key: &'static str, words: Words<T>) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.missing(key);
        }
        self.word(key, words)
    }

    /// The elements of an array; empty where it is missing.
    fn elements(&mut self, key: &'static str, of: &str) -> &'t [Value] {
        match self.get(key) {
            None => &[],
            Some(Value::Array(elements)) => elements,
            Some(_) => {
                self.wrong_type(key, of);
                &[]
            }
        }
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Vec<&'t str> {
        let elements = self.elements(key, "a list of texts");
        let mut texts = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            match element.as_str() {
                Some(text) if !text.trim().is_empty() => texts.push(text),
                Some(_) => self.fault(&format!("{key}[{index}]"), "missing", "is empty"),
                None => self.wrong_type(&format!("{key}[{index}]"), "text"),
            }
        }
        texts
    }

    /// One text, or a list of them; empty where it is missing.
    pub(super) fn text_or_texts(&mut self, key: &'static str) -> Vec<&'t str> {
        match self.table.get(key) {
            Some(Value::String(_)) => self.required_text(key).into_iter().collect(),
            Some(Value::Array(elements)) if elements.is_empty() => {
                self.known.push(key);
                self.fault(key, "missing", "is empty");
                Vec::new()
            }
            Some(_) | None => self.texts(key),
        }
    }

    /// Whether there is any key, right or wrong.
    pub(super) fn asks_anything(&self) -> bool {
        !self.table.is_empty()
    }

    pub(super) fn names(&mut self, key: &'static str) -> Vec<Name> {
        self.texts(key).into_iter().map(Name::new).collect()
    }

    /// Reads a table below this one, if it is there; unknown keys in it are reported.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'t>) -> T) -> Option<T> {
        let Some(table) = self.get(key)?.as_table() else {
            self.wrong_type(key, "a table");
            return None;
        };
        Some(self.within(key, table, read))
    }

    /// Reads each table of a list: `[[key]]`, or an array of inline tables.
    pub(super) fn sections<T>(&mut self, key: &'static str, read: impl Fn(&mut Section<'t>) -> T) -> Vec<T> {
        let mut found = Vec::new();
        for (index, element) in self.elements(key, "a list of tables").iter().enumerate() {
            let path = format!("{key}[{index}]");
            match element.as_table() {
                Some(table) => found.push(self.within(&path, table, &read)),
                None => self.wrong_type(&path, "a table"),
            }
        }
        found
    }

    fn within<T>(&self, key: &str, table: &'t Table, read: impl FnOnce(&mut Section<'t>) -> T) -> T {
        let mut section = Section { table, path: self.path_of(key), known: Vec::new(), faults: self.faults };
        let value = read(&mut section);
        section.finish();
        value
    }

    /// Reads each key of a table whose keys are free, such as attributes.
    pub(super) fn free<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Section<'t>, &str, &'t Value) -> Option<T>,
    ) -> Vec<(Name, T)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Value::Table(table) = value else {
            self.wrong_type(key, "a table");
            return Vec::new();
        };
        let entries = table.iter();
        entries
            .filter_map(|(name, value)| Some((Name::new(name), read(self, &format!("{key}.{name}"), value)?)))
            .collect()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys().filter(|key| !self.known.contains(&key.as_str())) {
            let message = match nearest(key, &self.known) {
                Some(meant) => format!("is unknown; did you mean \"{meant}\"?"),
                None => "is unknown".to_owned(),
            };
            self.fault(key, "unknown_key", &message);
        }
    }
}
