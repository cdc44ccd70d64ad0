//! The books that decisions look at, and the only way in which they change: [`Shelf::evolve`].
//!
//! A shelf may hold everything (in tests and replays) or just what one input can touch: whoever decides on a partial
//! shelf must first load what [`Shelf::visitor_of`], [`Shelf::book`] and [`Shelf::order`] will be asked for. Nothing here
//! iterates over a map, so that map order can't reach a decision.

mod evolve;
mod ledger;
mod nurture;

pub(crate) use evolve::insert_tight;

use rustc_hash::FxHashMap;

use crate::book::Book;
use crate::identifier::Identifier;
use crate::ids::{LeadId, OrderKey, TenantId, VisitorId};

/// Books by visitor, with the indexes that lead to them.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Boxed, so that growing moves pointers only.
    books: FxHashMap<VisitorId, Box<Book>>,
    /// Absorbed visitor → the visitor it was merged into, who may have been absorbed later.
    redirects: FxHashMap<VisitorId, VisitorId>,
    /// Who learnt an identifier; follow the redirects from there.
    identifiers: FxHashMap<Identifier, VisitorId>,
    orders: FxHashMap<OrderKey, LeadId>,
    last_visitor: VisitorId,
    /// Identifiers that erased people were known by, since somebody asked for them.
    forgotten: Vec<Identifier>,
}

impl Shelf {
    /// The visitor known by the identifier, after all merges.
    #[must_use]
    pub fn visitor_of(&self, identifier: Identifier) -> Option<VisitorId> {
        self.identifiers.get(&identifier).map(|visitor| self.survivor(*visitor))
    }

    /// The visitor who holds this visitor's book now: itself, or whom it was merged into.
    #[must_use]
    pub fn survivor(&self, visitor: VisitorId) -> VisitorId {
        let mut survivor = visitor;
        // A redirect always leads to an older visitor, so this ends.
        while let Some(older) = self.redirects.get(&survivor) {
            survivor = *older;
        }
        survivor
    }

    /// The book that holds this visitor, after all merges.
    #[must_use]
    pub fn book(&self, visitor: VisitorId) -> Option<&Book> {
        self.books.get(&self.survivor(visitor)).map(|book| &**book)
    }

    /// The lead that an order counts for.
    #[must_use]
    pub fn order(&self, order: OrderKey) -> Option<LeadId> {
        self.orders.get(&order).copied()
    }

    /// The member that learnt the identifier, before any merge.
    #[must_use]
    pub fn learnt_by(&self, identifier: Identifier) -> Option<VisitorId> {
        self.identifiers.get(&identifier).copied()
    }

    /// Whether the visitor is known on this shelf to have been merged into another one.
    #[must_use]
    pub fn is_absorbed(&self, visitor: VisitorId) -> bool {
        self.redirects.contains_key(&visitor)
    }

    /// The number of the youngest visitor; zero before the first one.
    #[must_use]
    pub const fn last_visitor(&self) -> VisitorId {
        self.last_visitor
    }

    /// Sets the number of the youngest visitor, when a shelf is loaded.
    pub const fn set_last_visitor(&mut self, visitor: VisitorId) {
        self.last_visitor = visitor;
    }

    /// Whether the book stands on this shelf under this very number.
    #[must_use]
    pub fn holds(&self, visitor: VisitorId) -> bool {
        self.books.contains_key(&visitor)
    }

    /// Puts a book on the shelf, in place of an older state of it.
    pub fn load_book(&mut self, book: Book) {
        self.books.insert(book.visitor, Box::new(book));
    }

    /// Puts a redirect on the shelf.
    pub fn load_redirect(&mut self, absorbed: VisitorId, into: VisitorId) {
        self.redirects.insert(absorbed, into);
    }

    /// Puts an identifier on the shelf.
    pub fn load_identifier(&mut self, identifier: Identifier, visitor: VisitorId) {
        self.identifiers.insert(identifier, visitor);
    }

    /// Puts an order on the shelf.
    pub fn load_order(&mut self, order: OrderKey, lead: LeadId) {
        self.orders.insert(order, lead);
    }

    /// Takes the identifiers that left with erased people since the last call: whoever keeps them elsewhere lets them go.
    pub fn take_forgotten(&mut self) -> Vec<Identifier> {
        std::mem::take(&mut self.forgotten)
    }

    /// Takes a book off the shelf.
    pub fn unload_book(&mut self, visitor: VisitorId) -> Option<Book> {
        self.books.remove(&visitor).map(|book| *book)
    }

    /// Takes everything but the book numbers' end off the shelf.
    pub fn clear(&mut self) {
        self.books.clear();
        self.redirects.clear();
        self.identifiers.clear();
        self.orders.clear();
    }

    /// How many books stand on the shelf.
    #[must_use]
    pub fn len(&self) -> usize {
        self.books.len()
    }

    /// Whether no book stands on the shelf.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.books.is_empty()
    }

    /// The visitors whose books stand on the shelf, in order.
    #[must_use]
    pub fn visitors(&self) -> Vec<VisitorId> {
        let mut visitors: Vec<VisitorId> = self.books.keys().copied().collect();
        visitors.sort_unstable();
        visitors
    }

    /// A new, empty book for a visitor whom nobody knows.
    fn begin_book(&mut self, visitor: VisitorId, tenant: TenantId) {
        self.last_visitor = self.last_visitor.max(visitor);
        self.books.insert(visitor, Box::new(Book::new(visitor, tenant)));
    }
}
