//! The fields of an object in a message, under the names that its writers may use, with the paths for people.

use std::collections::BTreeSet;

use proto_events::cloud_event::{Fault, Str, code, shown};
use proto_events::raw_object::RawObject;

/// An object of a message, or several of which the first that has a field counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Section<'a> {
    fields: Vec<Field<'a>>,
}

/// A field that is there and not `null`.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    /// What stands before the name in its path: nothing, or `context.page.`.
    prefix: &'static str,
    pub(super) name: Str<'a>,
    pub(super) json: &'a str,
}

impl Field<'_> {
    /// Where it stands; a name that might be a value is not shown.
    pub(super) fn path(&self) -> String {
        format!("{}{}", self.prefix, shown(self.name.as_str()))
    }
}

impl<'a> Section<'a> {
    /// The fields of an object at `prefix`.
    ///
    /// # Errors
    /// When a name is there twice: there is no telling which one is meant.
    pub(super) fn new(object: RawObject<'a>, prefix: &'static str) -> Result<Self, Fault> {
        if let Some(name) = object.repeated() {
            let path = format!("{prefix}{}", shown(name));
            return Err(Fault::new(path, code::REPEATED_FIELD, "The field is there twice."));
        }
        let fields = object.0.into_iter().filter(|(_, json)| *json != "null");
        Ok(Self { fields: fields.map(|(name, json)| Field { prefix, name, json }).collect() })
    }

    /// One field of the whole message.
    pub(super) fn of(name: &'static str, json: &'a str) -> Self {
        Self { fields: vec![Field { prefix: "", name: Str::from(name), json }] }
    }

    /// These fields, and those of another object that these don't have.
    pub(super) fn or(mut self, other: Self) -> Self {
        let known: BTreeSet<String> = self.fields.iter().map(|field| field.name.as_str().to_owned()).collect();
        self.fields.extend(other.fields.into_iter().filter(|field| !known.contains(field.name.as_str())));
        self
    }

    /// The field of the first of these names that is there.
    pub(super) fn get(&self, names: &[&str]) -> Option<&Field<'a>> {
        names.iter().find_map(|name| self.fields.iter().find(|field| field.name.as_str() == *name))
    }

    /// All fields.
    pub(super) fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }
}
