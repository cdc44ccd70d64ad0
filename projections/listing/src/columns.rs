//! What filters and sorts need of every lead, in memory and column by column: about 100 bytes a lead. Knows no SQL.
//!
//! Whatever a query filters and sorts by, one pass over the columns finds the rows of its page. An index serves one order
//! or one filter, and a query that combines two of them walks a good part of it.

mod chunk;
mod select;
mod shared;

use event_log::LogPosition;
use lead_domain::Name;
use rustc_hash::FxHashMap;

use crate::query::SortKey;
use crate::state::lead::LeadState;
use crate::state::lead_key;
use chunk::{CHUNK_ROWS, Chunk};
pub(crate) use select::{Place, Wanted};
pub(crate) use shared::{Change, Held, SharedColumns};

/// How many numbers there are of a lead.
const NUMBERS: usize = 5;
/// How many texts there are of a lead.
const TEXTS: usize = 9;

/// A column of texts. Its number is the text's place in an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextColumn {
    LeadType,
    Skill,
    Channel,
    Campaign,
    CloseCause,
    Owner,
    Stage,
    Temperature,
    Grade,
}

/// One lead as the columns take it.
#[derive(Clone, Debug)]
pub(crate) struct Entry<T> {
    pub(crate) id: i64,
    pub(crate) visitor: i64,
    pub(crate) tenant: u32,
    /// At the places of [`SortKey`].
    pub(crate) numbers: [Option<i64>; NUMBERS],
    /// At the places of [`TextColumn`].
    pub(crate) texts: [Option<T>; TEXTS],
}

/// The leads of a model at one position.
#[derive(Default)]
pub(crate) struct LeadColumns {
    position: LogPosition,
    /// All but the last of those that were read, and the last of all, are full.
    chunks: Vec<Chunk>,
    /// So many chunks were read in order of id. Rows that came later are behind them.
    ordered: usize,
    /// Where the rows are that came later.
    later: FxHashMap<i64, Slot>,
    words: Words,
}

/// Where a row is.
#[derive(Clone, Copy)]
struct Slot {
    chunk: u32,
    place: u16,
}

/// A number for each text.
#[derive(Default)]
struct Words(FxHashMap<Name, u32>);

impl Words {
    /// What stands for no text.
    const NONE: u32 = 0;

    fn known(&self, word: &str) -> Option<u32> {
        self.0.get(word).copied()
    }

    fn learn(&mut self, word: &str) -> u32 {
        if let Some(known) = self.known(word) {
            return known;
        }
        // Four billion texts don't fit into memory.
        let code = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
        self.0.insert(Name::from(word), code);
        code
    }
}

impl Entry<Name> {
    /// A lead as it is about to be stored.
    pub(crate) fn of(lead: &LeadState) -> Option<Self> {
        let mut numbers = [None; NUMBERS];
        let closing = lead.closing.as_ref();
        for (key, value) in [
            (SortKey::LastInteractionAt, Some(lead.last_interaction_at.as_millis())),
            (SortKey::OpenedAt, Some(lead.opened_at.as_millis())),
            (SortKey::ClosedAt, closing.map(|closing| closing.at.as_millis())),
            (SortKey::Value, lead.sales.value().map(|value| value.amount)),
            (SortKey::Score, Some(i64::from(lead.total()))),
        ] {
            *numbers.get_mut(key as usize)? = value;
        }
        let mut texts = [const { None }; TEXTS];
        for (column, text) in [
            (TextColumn::LeadType, Some(&lead.lead_type)),
            (TextColumn::Skill, lead.skill.as_ref()),
            (TextColumn::Channel, lead.channel.as_ref()),
            (TextColumn::Campaign, lead.campaign.as_ref()),
            (TextColumn::Owner, lead.owner.as_ref()),
            (TextColumn::CloseCause, closing.map(|closing| Name::const_new(closing.cause.code())).as_ref()),
            (TextColumn::Stage, lead.stage.as_ref()),
            (TextColumn::Temperature, Some(&Name::const_new(lead.temperature.code()))),
            (TextColumn::Grade, lead.grade.map(|grade| Name::const_new(grade.code())).as_ref()),
        ] {
            *texts.get_mut(column as usize)? = text.cloned();
        }
        let visitor = lead.visitor.0.cast_signed();
        Some(Self { id: lead_key(lead.id)?, visitor, tenant: lead.tenant, numbers, texts })
    }
}

impl LeadColumns {
    /// No leads yet, of a model at that position.
    pub(crate) fn at(position: LogPosition) -> Self {
        Self { position, ..Self::default() }
    }

    /// Takes in a lead that is read, in order of id. None may have come later.
    pub(crate) fn read<T: AsRef<str>>(&mut self, entry: &Entry<T>) {
        let codes = self.codes(entry);
        if self.chunks.last().is_none_or(Chunk::is_full) {
            self.chunks.push(Chunk::default());
            self.ordered = self.chunks.len();
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.put(chunk.len(), entry, codes);
        }
    }

    /// Brings a lead up to date, or takes in a new one.
    fn put<T: AsRef<str>>(&mut self, entry: &Entry<T>) {
        let codes = self.codes(entry);
        let slot = self.slot_of(entry.id).unwrap_or_else(|| self.new_slot(entry.id));
        if let Some(chunk) = self.chunks.get_mut(slot.chunk as usize) {
            chunk.put(slot.place.into(), entry, codes);
        }
    }

    fn codes<T: AsRef<str>>(&mut self, entry: &Entry<T>) -> [u32; TEXTS] {
        entry.texts.each_ref().map(|text| text.as_ref().map_or(Words::NONE, |text| self.words.learn(text.as_ref())))
    }

    fn slot_of(&self, id: i64) -> Option<Slot> {
        if let Some(slot) = self.later.get(&id) {
            return Some(*slot);
        }
        let ordered = self.chunks.get(..self.ordered)?;
        let chunk = ordered.partition_point(|chunk| chunk.first_id() <= id).checked_sub(1)?;
        let place = ordered.get(chunk)?.place_of(id)?;
        Some(Slot { chunk: u32::try_from(chunk).ok()?, place: u16::try_from(place).ok()? })
    }

    fn new_slot(&mut self, id: i64) -> Slot {
        if self.chunks.len() == self.ordered || self.chunks.last().is_none_or(Chunk::is_full) {
            self.chunks.push(Chunk::default());
        }
        let place = self.chunks.last().map_or(0, Chunk::len);
        // A chunk is far smaller than its place's type, and the chunks' number than theirs.
        let slot = Slot {
            chunk: u32::try_from(self.chunks.len() - 1).unwrap_or(u32::MAX),
            place: u16::try_from(place).unwrap_or(u16::MAX),
        };
        self.later.insert(id, slot);
        slot
    }
}

#[cfg(test)]
mod tests;

const _: () = assert!(CHUNK_ROWS <= u16::MAX as usize);
