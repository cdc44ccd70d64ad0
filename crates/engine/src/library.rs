//! The books in memory, over the tables: loads what an input can touch, keeps track of what changed, writes it back.

mod recent;
pub(crate) mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event_log::{LogPosition, Message, Table, Tables, WriteBack};
use lead_domain::{Event, Identifier, OrderKey, Period, Shelf, TenantId, Time, VisitorId};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use crate::deadlines::Deadlines;
use crate::error::EngineError;
use crate::roots::{BookHash, StateRoot};
use crate::suppression::SuppressedKey;
use recent::Recent;
use rows::{
    Mark, erased_key, identifier_key, lead_value, order_key, read_book, read_erased, read_lead, read_seen,
    read_seen_armed, read_suppressed, read_visitor, seen_armed_key, seen_key, suppressed_range, visitor_key,
    write_book,
};

/// What a changed row takes, with its key, generously: only what is used of it costs memory.
const ROW_BYTES: usize = 768;

/// A mark in memory, with what is still to be done about its book.
#[derive(Clone, Debug, Default)]
struct Marked {
    mark: Mark,
    /// Changed since the last write-back.
    unwritten: bool,
    /// Changed since its hash last entered the state root.
    unrooted: bool,
}

/// Books, indexes, deadlines and message ids as they stand after the last decision.
pub(crate) struct Library {
    pub(crate) shelf: Shelf,
    pub(crate) deadlines: Deadlines,
    tables: Arc<dyn Tables>,
    /// Boxed, so that growing moves pointers only.
    marks: FxHashMap<VisitorId, Box<Marked>>,
    unwritten: Vec<VisitorId>,
    unrooted: Vec<VisitorId>,
    root: StateRoot,
    /// Messages recorded since the last write-back.
    messages: Recent,
    /// Rows of the small tables that changed since the last write-back.
    rows: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
    /// Identifiers learnt, moved or forgotten since the last write-back.
    identifiers: FxHashMap<Identifier, Option<VisitorId>>,
    /// Tenants all of whose visitors have a row that says when they were heard of.
    seen: BTreeSet<TenantId>,
    scratch: Vec<u8>,
}

impl Library {
    pub(crate) fn new(tables: Arc<dyn Tables>, root: StateRoot, last_visitor: VisitorId) -> Self {
        let mut shelf = Shelf::default();
        shelf.set_last_visitor(last_visitor);
        Self {
            shelf,
            deadlines: Deadlines::default(),
            tables,
            marks: FxHashMap::default(),
            unwritten: Vec::new(),
            unrooted: Vec::new(),
            root,
            messages: Recent::default(),
            rows: BTreeMap::new(),
            identifiers: FxHashMap::default(),
            seen: BTreeSet::new(),
            scratch: Vec::new(),
        }
    }

    pub(crate) fn tables(&self) -> &Arc<dyn Tables> {
        &self.tables
    }

    /// Loads the visitors whom the identifiers may mean, with their books.
    pub(crate) fn load_identifiers(&mut self, identifiers: &[Identifier]) -> Result<(), EngineError> {
        let mut visitors = Vec::new();
        let mut unknown = Vec::new();
        for identifier in identifiers {
            match self.shelf.learnt_by(*identifier) {
                Some(visitor) => visitors.push(visitor),
                // The table still has what an erasure forgot.
                None if self.identifiers.get(identifier) == Some(&None) => {}
                None => unknown.push(*identifier),
            }
        }
        let keys: Vec<[u8; 17]> = unknown.iter().map(|identifier| identifier_key(*identifier)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 17]>::as_slice).collect();
        if self.tables.position() > LogPosition::START && !keys.is_empty() {
            let found = self.tables.get_many(Table::Identifiers, &keys)?;
            for (identifier, value) in unknown.iter().zip(found) {
                let Some(value) = value else { continue };
                let visitor = read_visitor(Table::Identifiers.name(), &value)?;
                self.shelf.load_identifier(*identifier, visitor);
                visitors.push(visitor);
            }
        }
        self.load_visitors(visitors)
    }

    /// Loads the books that hold these visitors. Unknown visitors are passed over.
    pub(crate) fn load_visitors(&mut self, mut visitors: Vec<VisitorId>) -> Result<(), EngineError> {
        loop {
            visitors.iter_mut().for_each(|visitor| *visitor = self.shelf.survivor(*visitor));
            visitors.retain(|visitor| !self.shelf.holds(*visitor));
            visitors.sort_unstable();
            visitors.dedup();
            if visitors.is_empty() {
                return Ok(());
            }
            let absent = self.load_books(&visitors)?;
            visitors = self.load_redirects(&absent)?;
        }
    }

    /// Loads books, and returns the visitors who have none of their own.
    fn load_books(&mut self, visitors: &[VisitorId]) -> Result<Vec<VisitorId>, EngineError> {
        let keys: Vec<[u8; 8]> = visitors.iter().map(|visitor| visitor_key(*visitor)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 8]>::as_slice).collect();
        let found = self.tables.get_many(Table::Books, &keys)?;
        let mut absent = Vec::new();
        let mut others = Vec::new();
        for (visitor, value) in visitors.iter().zip(found) {
            let Some(value) = value else {
                absent.push(*visitor);
                continue;
            };
            let (book, mark) = read_book(&value)?;
            for member in book.members.iter().filter(|member| member.visitor != book.visitor) {
                self.shelf.load_redirect(member.visitor, member.into);
            }
            others.extend(book.suspected.iter().map(|suspected| suspected.other));
            self.marks.insert(*visitor, Box::new(Marked { mark, ..Marked::default() }));
            self.shelf.load_book(book);
        }
        // A suspicion is looked at through redirects, whether or not the other's book is needed.
        self.follow(others)?;
        Ok(absent)
    }

    /// Loads the redirects that lead on from these visitors.
    fn follow(&mut self, mut visitors: Vec<VisitorId>) -> Result<(), EngineError> {
        while !visitors.is_empty() {
            visitors.iter_mut().for_each(|visitor| *visitor = self.shelf.survivor(*visitor));
            visitors.retain(|visitor| !self.shelf.holds(*visitor));
            visitors = self.load_redirects(&visitors)?;
        }
        Ok(())
    }

    /// Loads one step of redirects and returns where they lead.
    fn load_redirects(&mut self, visitors: &[VisitorId]) -> Result<Vec<VisitorId>, EngineError> {
        let mut targets = Vec::new();
        for visitor in visitors {
            if let Some(value) = self.tables.get(Table::Redirects, &visitor_key(*visitor))? {
                let target = read_visitor(Table::Redirects.name(), &value)?;
                self.shelf.load_redirect(*visitor, target);
                targets.push(target);
            }
        }
        Ok(targets)
    }

    /// Loads what is known of an order.
    pub(crate) fn load_order(&mut self, order: OrderKey) -> Result<(), EngineError> {
        let key = order_key(order);
        if self.shelf.order(order).is_some() || self.rows.contains_key(&(Table::Orders, key.to_vec())) {
            return Ok(());
        }
        if let Some(value) = self.tables.get(Table::Orders, &key)? {
            self.shelf.load_order(order, read_lead(&value)?);
        }
        Ok(())
    }

    /// Loads everything that folding these events of a recorded decision needs.
    pub(crate) fn load_for_events(&mut self, visitor: VisitorId, events: &[Event]) -> Result<(), EngineError> {
        let mut visitors = vec![visitor];
        for event in events {
            visitors.extend(concerned(event));
            visitors.extend(event.leads().iter().map(|lead| lead.visitor));
        }
        visitors.retain(|visitor| visitor.0 > 0 && *visitor <= self.shelf.last_visitor());
        self.load_visitors(visitors)
    }

    /// What is known of these messages, in their order.
    pub(crate) fn find_messages(&self, keys: &[u128]) -> Result<Vec<Option<Message>>, EngineError> {
        let mut found: Vec<Option<Message>> = keys.iter().map(|key| self.messages.get(*key)).collect();
        if self.tables.position() > LogPosition::START {
            let open: Vec<usize> = (0..keys.len()).filter(|place| found.get(*place) == Some(&None)).collect();
            let asked: Vec<u128> = open.iter().filter_map(|place| keys.get(*place).copied()).collect();
            for (place, message) in open.into_iter().zip(self.tables.find_messages(&asked)?) {
                if let Some(slot) = found.get_mut(place) {
                    *slot = message;
                }
            }
        }
        Ok(found)
    }

    /// What was recorded under this key since the last write-back.
    pub(crate) fn recent_message(&self, key: u128) -> Option<Message> {
        self.messages.get(key)
    }

    pub(crate) fn add_message(&mut self, key: u128, message: Message) {
        self.messages.insert(key, message);
    }

    /// Sets a row of a small table at the next write-back.
    pub(crate) fn put_row(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.rows.insert((table, key), value);
    }

    /// A row of a small table, as it will stand after the next write-back.
    pub(crate) fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        match self.rows.get(&(table, key.to_vec())) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.tables.get(table, key)?),
        }
    }

    /// Where erasures stand in the log, in order, with whom they erased.
    pub(crate) fn erasures(&self) -> Result<Vec<(LogPosition, VisitorId)>, EngineError> {
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let (from, until) = (erased_key(LogPosition::START), erased_key(LogPosition(u64::MAX)));
        if self.tables.position() > LogPosition::START {
            rows.extend(self.tables.scan(Table::Facts, &from, &until, usize::MAX)?);
        }
        let recent = self.rows.range((Table::Facts, from.to_vec())..(Table::Facts, until.to_vec()));
        rows.extend(recent.filter_map(|((_, key), value)| Some((key.clone(), value.clone()?))));
        rows.iter().map(|(key, value)| read_erased(key, value)).collect()
    }

    /// The identifiers that are suppressed, and the records that say so, as the tables have them.
    pub(crate) fn suppressed(&self) -> Result<Vec<(SuppressedKey, LogPosition)>, EngineError> {
        let (from, until) = suppressed_range();
        if self.tables.position() == LogPosition::START {
            return Ok(Vec::new());
        }
        let rows = self.tables.scan(Table::Facts, &from, &until, usize::MAX)?;
        rows.iter().map(|(key, value)| read_suppressed(key, value)).collect()
    }

    /// Whether every visitor of the tenant has a row that says when it was heard of.
    pub(crate) fn knows_seen(&self, tenant: TenantId) -> bool {
        self.seen.contains(&tenant)
    }

    /// From now on every visitor of the tenant has one.
    pub(crate) fn know_seen(&mut self, tenant: TenantId) {
        self.seen.insert(tenant);
        self.put_row(Table::Facts, seen_armed_key(tenant).to_vec(), Some(Vec::new()));
    }

    /// Reads which tenants' visitors have such rows.
    pub(crate) fn load_seen(&mut self) -> Result<(), EngineError> {
        if self.tables.position() > LogPosition::START {
            let (from, until) = (seen_armed_key(TenantId(0)), seen_armed_key(TenantId(u32::MAX)));
            let rows = self.tables.scan(Table::Facts, &from, &until, usize::MAX)?;
            self.seen = rows.iter().map(|(key, _)| read_seen_armed(key)).collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    /// Notes that a visitor was heard of.
    pub(crate) fn put_seen(&mut self, tenant: TenantId, seen: Time, visitor: VisitorId) {
        self.put_row(Table::Facts, seen_key(tenant, seen, visitor).to_vec(), Some(Vec::new()));
    }

    /// Notes when a visitor was heard of, by its book. Without a lead nobody knows, so its records will be looked at.
    pub(crate) fn see(&mut self, tenant: TenantId, visitor: VisitorId) {
        let book = self.shelf.book(visitor);
        let book = book.filter(|book| book.visitor == visitor && book.tenant == tenant && !book.erased);
        if let Some(seen) = book.map(|book| book.last_activity().unwrap_or(Time::MIN)) {
            self.put_seen(tenant, seen, visitor);
        }
    }

    /// The first visitors of a tenant who were perhaps heard of last at `until` or before, and when.
    pub(crate) fn seen_until(
        &self,
        tenant: TenantId,
        until: Time,
        limit: usize,
    ) -> Result<Vec<(Time, VisitorId)>, EngineError> {
        let from = seen_key(tenant, Time::MIN, VisitorId(0));
        let end = seen_key(tenant, until.after(Period::from_millis(1)), VisitorId(0));
        let changed = self.rows.range((Table::Facts, from.to_vec())..(Table::Facts, end.to_vec()));
        let changed: BTreeMap<&[u8], bool> =
            changed.map(|((_, key), value)| (key.as_slice(), value.is_some())).collect();
        let mut rows = BTreeSet::new();
        if self.tables.position() > LogPosition::START {
            let most = limit.saturating_add(changed.len());
            let stored = self.tables.scan(Table::Facts, &from, &end, most)?;
            rows.extend(stored.into_iter().map(|(key, _)| key));
        }
        for (key, is_there) in changed {
            if is_there {
                rows.insert(key.to_vec());
            } else {
                rows.remove(key);
            }
        }
        rows.iter().take(limit).map(|key| read_seen(key)).collect()
    }

    /// Notes what the record at `position` did to books that stand on the shelf, and returns the position of the
    /// visitor's record before it.
    pub(crate) fn note(
        &mut self,
        tenant: TenantId,
        visitor: VisitorId,
        position: LogPosition,
        events: &[Event],
    ) -> LogPosition {
        for event in events {
            self.note_event(tenant, event);
            if let Event::VisitorErased { visitor, .. } = event {
                self.put_row(Table::Facts, erased_key(position).to_vec(), Some(visitor_key(*visitor).to_vec()));
            }
        }
        if self.seen.contains(&tenant) {
            self.see_newcomers(tenant, events);
        }
        for identifier in self.shelf.take_forgotten() {
            self.identifiers.insert(identifier, None);
        }
        let previous = self.changed(visitor).map(|marked| std::mem::replace(&mut marked.mark.head, position));
        self.arm(tenant, visitor);
        previous.unwrap_or_default()
    }

    fn see_newcomers(&mut self, tenant: TenantId, events: &[Event]) {
        for event in events {
            if let Event::VisitorCreated { visitor } | Event::VisitorsUnmerged { restored: visitor, .. } = event {
                self.see(tenant, *visitor);
            }
        }
    }

    fn note_event(&mut self, tenant: TenantId, event: &Event) {
        match event {
            Event::IdentifierLearned { visitor, identifier } => {
                self.identifiers.insert(*identifier, Some(*visitor));
            }
            Event::IdentifierMoved { identifier, from, to } => {
                self.identifiers.insert(*identifier, Some(*to));
                self.changed(*from);
            }
            Event::VisitorsMerged { survivor, absorbed } => self.note_merge(tenant, *survivor, *absorbed),
            Event::VisitorsUnmerged { survivor, restored, .. } => self.note_unmerge(tenant, *survivor, *restored),
            Event::DuplicateSuspected { visitor, other, .. } | Event::DuplicateSettled { visitor, other } => {
                self.changed(*visitor);
                self.changed(*other);
            }
            Event::ConsentChanged { visitor, .. } => {
                self.changed(*visitor);
            }
            Event::ConversionRecorded { lead, order: Some(order), .. } => {
                self.put_row(Table::Orders, order_key(*order).to_vec(), Some(lead_value(*lead)));
            }
            Event::ConversionWithdrawn { order: Some(order), .. } => {
                self.put_row(Table::Orders, order_key(*order).to_vec(), None);
            }
            Event::VisitorCreated { .. }
            | Event::VisitorErased { .. }
            | Event::LeadOpened { .. }
            | Event::CustomerLearned { .. }
            | Event::InteractionAttached { .. }
            | Event::InteractionOrphaned { .. }
            | Event::InteractionMoved { .. }
            | Event::ConversionRecorded { order: None, .. }
            | Event::ConversionRepeated { .. }
            | Event::ConversionWithdrawn { order: None, .. }
            | Event::LeadClosed { .. }
            | Event::LeadReopened { .. }
            | Event::LeadTypeChanged { .. }
            | Event::LeadAssigned { .. }
            | Event::NoteAdded { .. }
            | Event::AttributesSet { .. }
            | Event::InteractionCounted { .. }
            | Event::InteractionsRecounted { .. }
            | Event::InteractionDiscredited { .. }
            | Event::ScoreChanged { .. }
            | Event::TemperatureChanged { .. }
            | Event::StageEntered { .. }
            | Event::NurtureStarted { .. }
            | Event::NurtureStepDue { .. }
            | Event::NurtureStepSuppressed { .. }
            | Event::NurtureStopped { .. } => {}
        }
    }

    fn note_merge(&mut self, tenant: TenantId, survivor: VisitorId, absorbed: VisitorId) {
        let gone = self.marks.remove(&absorbed).unwrap_or_default().mark;
        self.root.replace(gone.hash, BookHash::default());
        if let Some(due) = gone.armed {
            self.deadlines.disarm(tenant, due, absorbed);
        }
        self.put_row(Table::Books, visitor_key(absorbed).to_vec(), None);
        self.put_row(Table::Redirects, visitor_key(absorbed).to_vec(), Some(visitor_key(survivor).to_vec()));
        if let Some(marked) = self.changed(survivor) {
            let heads = gone.extra_heads.into_iter().chain([gone.head]);
            marked.mark.extra_heads.extend(heads.filter(|head| *head > LogPosition::START));
            marked.mark.extra_heads.sort_unstable();
            marked.mark.extra_heads.dedup();
        }
        self.arm(tenant, survivor);
    }

    /// Both go on from what they shared: records of the time together stay in the timelines of both.
    fn note_unmerge(&mut self, tenant: TenantId, survivor: VisitorId, restored: VisitorId) {
        let shared = self.changed(survivor).map(|marked| marked.mark.clone()).unwrap_or_default();
        let mark = Mark { head: shared.head, extra_heads: shared.extra_heads, ..Mark::default() };
        self.marks.insert(restored, Box::new(Marked { mark, ..Marked::default() }));
        self.put_row(Table::Redirects, visitor_key(restored).to_vec(), None);
        self.rows.remove(&(Table::Books, visitor_key(restored).to_vec()));
        self.changed(restored);
        self.arm(tenant, restored);
    }

    /// The mark of the book that holds the visitor, noted as changed.
    fn changed(&mut self, visitor: VisitorId) -> Option<&mut Marked> {
        let visitor = self.shelf.survivor(visitor);
        if !self.shelf.holds(visitor) {
            return None;
        }
        let marked = self.marks.entry(visitor).or_default();
        if !marked.unwritten {
            marked.unwritten = true;
            self.unwritten.push(visitor);
        }
        if !marked.unrooted {
            marked.unrooted = true;
            self.unrooted.push(visitor);
        }
        Some(marked)
    }

    /// Makes sure that a row fires no later than the book's next deadline.
    pub(crate) fn arm(&mut self, tenant: TenantId, visitor: VisitorId) {
        let visitor = self.shelf.survivor(visitor);
        let Some(due) = self.shelf.book(visitor).and_then(lead_domain::Book::next_deadline) else { return };
        let Some(marked) = self.marks.get_mut(&visitor) else { return };
        match marked.mark.armed {
            Some(armed) if armed <= due => return,
            Some(armed) => self.deadlines.disarm(tenant, armed, visitor),
            None => {}
        }
        marked.mark.armed = Some(due);
        self.deadlines.arm(tenant, due, visitor);
        self.changed_mark(visitor);
    }

    /// Takes a row that fired off the list.
    pub(crate) fn fired(&mut self, tenant: TenantId, due: Time, visitor: VisitorId) {
        self.deadlines.disarm(tenant, due, visitor);
        if let Some(marked) = self.marks.get_mut(&visitor)
            && marked.mark.armed == Some(due)
        {
            marked.mark.armed = None;
            self.changed_mark(visitor);
        }
    }

    /// Notes a changed mark of an unchanged book: it is written back, and hashed again to the same hash.
    fn changed_mark(&mut self, visitor: VisitorId) {
        self.changed(visitor);
    }

    /// The heads of the visitor's streams, its own first.
    pub(crate) fn heads(&self, visitor: VisitorId) -> Vec<LogPosition> {
        let Some(marked) = self.marks.get(&self.shelf.survivor(visitor)) else { return Vec::new() };
        let mut heads = vec![marked.mark.head];
        heads.extend_from_slice(&marked.mark.extra_heads);
        heads
    }

    /// The hash over all canonical books as they stand now.
    pub(crate) fn root(&mut self) -> StateRoot {
        for visitor in std::mem::take(&mut self.unrooted) {
            // A visitor that was absorbed since has left the root already.
            let Some(marked) = self.marks.get_mut(&visitor) else { continue };
            let Some(book) = self.shelf.book(visitor) else { continue };
            let hash = BookHash::of(book, &mut self.scratch);
            self.root.replace(marked.mark.hash, hash);
            marked.mark.hash = hash;
            marked.unrooted = false;
        }
        self.root
    }

    /// How many books stand in memory.
    pub(crate) fn len(&self) -> usize {
        self.shelf.len()
    }

    /// Brings the tables to `position`, and lets go of the books when there are more than `books_max`.
    ///
    /// Everything up to `position` must be durable in the log, and nothing behind it decided.
    pub(crate) fn write_back(&mut self, position: LogPosition, books_max: usize) -> Result<(), EngineError> {
        self.root();
        // First of all, so that their memory is free for the rows.
        let messages = self.tables.add_messages(self.messages.take_sorted())?;
        let mut changes = WriteBack { position, messages, ..WriteBack::default() };
        let rows = self.rows.len() + self.identifiers.len() + self.unwritten.len();
        changes.rows.reserve(rows, rows * ROW_BYTES);
        for ((table, key), value) in std::mem::take(&mut self.rows) {
            changes.rows.set(table, &key, value.as_deref());
        }
        self.deadlines.take_rows(&mut changes.rows);
        self.take_identifiers(&mut changes);
        self.take_books(&mut changes);
        self.tables.write_back(changes)?;
        if self.shelf.len() > books_max {
            self.shelf.clear();
            self.marks.clear();
        }
        Ok(())
    }

    fn take_identifiers(&mut self, changes: &mut WriteBack) {
        let mut identifiers: Vec<_> = self.identifiers.drain().collect();
        identifiers.sort_unstable_by_key(|(identifier, _)| *identifier);
        for (identifier, visitor) in identifiers {
            let value = visitor.map(visitor_key);
            changes.rows.set(Table::Identifiers, &identifier_key(identifier), value.as_ref().map(<[u8; 8]>::as_slice));
        }
    }

    fn take_books(&mut self, changes: &mut WriteBack) {
        let mut visitors = std::mem::take(&mut self.unwritten);
        visitors.sort_unstable();
        visitors.dedup();
        for visitor in visitors {
            let Some(marked) = self.marks.get_mut(&visitor) else { continue };
            marked.unwritten = false;
            let Some(book) = self.shelf.book(visitor) else { continue };
            changes.rows.put_with(Table::Books, &visitor_key(visitor), |value| write_book(book, &marked.mark, value));
        }
    }
}

/// Visitors whom an event concerns besides those of its leads.
pub(crate) fn concerned(event: &Event) -> SmallVec<[VisitorId; 2]> {
    match event {
        Event::IdentifierLearned { visitor, .. }
        | Event::LeadOpened { visitor, .. }
        | Event::ConsentChanged { visitor, .. } => smallvec![*visitor],
        Event::IdentifierMoved { from, to, .. } => smallvec![*from, *to],
        Event::VisitorsMerged { survivor, absorbed } => smallvec![*survivor, *absorbed],
        Event::VisitorsUnmerged { survivor, .. } => smallvec![*survivor],
        Event::DuplicateSuspected { visitor, other, .. } | Event::DuplicateSettled { visitor, other } => {
            smallvec![*visitor, *other]
        }
        Event::VisitorCreated { .. }
        | Event::VisitorErased { .. }
        | Event::CustomerLearned { .. }
        | Event::InteractionAttached { .. }
        | Event::InteractionOrphaned { .. }
        | Event::InteractionMoved { .. }
        | Event::ConversionRecorded { .. }
        | Event::ConversionRepeated { .. }
        | Event::ConversionWithdrawn { .. }
        | Event::LeadClosed { .. }
        | Event::LeadReopened { .. }
        | Event::LeadTypeChanged { .. }
        | Event::LeadAssigned { .. }
        | Event::NoteAdded { .. }
        | Event::AttributesSet { .. }
        | Event::InteractionCounted { .. }
        | Event::InteractionsRecounted { .. }
        | Event::InteractionDiscredited { .. }
        | Event::ScoreChanged { .. }
        | Event::TemperatureChanged { .. }
        | Event::StageEntered { .. }
        | Event::NurtureStarted { .. }
        | Event::NurtureStepDue { .. }
        | Event::NurtureStepSuppressed { .. }
        | Event::NurtureStopped { .. } => SmallVec::new(),
    }
}
