//! What a visitor is known by. Values are keyed hashes; the decider never sees an address or a number.

/// The kinds of identifier, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentifierKind {
    /// The tenant's own number for a customer. A visitor has at most one.
    CustomerId,
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// The channel's cookie or device id.
    VisitorId,
}

impl IdentifierKind {
    /// All kinds, strongest first.
    pub const STRONGEST_FIRST: [Self; 4] = [Self::CustomerId, Self::Email, Self::Phone, Self::VisitorId];

    /// The name in the interaction contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CustomerId => "customer_id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::VisitorId => "visitor_id",
        }
    }
}

/// Keyed hash of tenant, kind and normalised value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentifierKey(pub u128);

/// One identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// What it is.
    pub kind: IdentifierKind,
    /// Which one.
    pub key: IdentifierKey,
}

/// The identifiers that an interaction carries: at most one of each kind. Blocked values are already left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// The tenant's own number for the customer.
    pub customer_id: Option<IdentifierKey>,
    /// E-mail address.
    pub email: Option<IdentifierKey>,
    /// Phone number.
    pub phone: Option<IdentifierKey>,
    /// Cookie or device id.
    pub visitor_id: Option<IdentifierKey>,
}

impl Identifiers {
    /// The identifiers present, strongest first.
    pub fn strongest_first(&self) -> impl Iterator<Item = Identifier> + use<> {
        let keys = [self.customer_id, self.email, self.phone, self.visitor_id];
        IdentifierKind::STRONGEST_FIRST
            .into_iter()
            .zip(keys)
            .filter_map(|(kind, key)| key.map(|key| Identifier { kind, key }))
    }
}
