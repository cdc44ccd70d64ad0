//! What is known of a lead while records are folded, and how events change it. Agrees with the listing about every field.
//!
//! A lead that is not in memory is not read for each event: its changes wait, and are applied when the batch ends.

use std::borrow::Cow;
use std::sync::Arc;

use event_log::LogPosition;
use lead_domain::policy::condition::SEALED_MARK;
use lead_domain::policy::grid::Grade;
use lead_domain::{CloseCause, LeadId, Money, Name, Score, Temperature, Time, VisitorId};
use proto_events::InteractionFacts;
use proto_events::stored::{Attribute, Device, Product};

use crate::ledger::{Caps, Ledger, LiveRow};
use crate::table::interactions::value_text;

/// The most attributes that a lead shows, as in the listing.
const ATTRIBUTES_MAX: usize = 256;

/// How many bits of a lead's key hold its ordinal.
const ORDINAL_BITS: u32 = 20;

/// A lead's key: `visitor << 20 | ordinal`. `None` for ids that are never made.
pub(crate) fn lead_key(lead: LeadId) -> Option<u64> {
    let fits = lead.ordinal < 1 << ORDINAL_BITS && lead.visitor.0 < 1 << (63 - ORDINAL_BITS);
    fits.then_some(lead.visitor.0 << ORDINAL_BITS | u64::from(lead.ordinal))
}

/// The lead of a key.
pub(crate) const fn lead_of(key: u64) -> LeadId {
    let ordinal = (key & ((1 << ORDINAL_BITS) - 1)) as u32;
    LeadId { visitor: VisitorId(key >> ORDINAL_BITS), ordinal }
}

/// A value and when it was true, in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dated<T> {
    pub(crate) value: T,
    pub(crate) at: i64,
}

/// How a lead ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) cause: CloseCause,
    pub(crate) at: Time,
    pub(crate) reason: Option<Name>,
}

/// The cause of a word.
pub(crate) fn cause_of(code: &str) -> Option<CloseCause> {
    const ALL: [CloseCause; 5] =
        [CloseCause::Conversion, CloseCause::Operator, CloseCause::Inactivity, CloseCause::Merged, CloseCause::Erased];
    ALL.into_iter().find(|cause| cause.code() == code)
}

/// The temperature of a word.
pub(crate) fn temperature_of(code: &str) -> Option<Temperature> {
    [Temperature::Cold, Temperature::Warm, Temperature::Hot].into_iter().find(|temperature| temperature.code() == code)
}

/// Everything that a lead's row holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LeadState {
    pub(crate) id: LeadId,
    pub(crate) tenant: u32,
    /// Who owns it now, after merges.
    pub(crate) visitor: VisitorId,
    pub(crate) lead_type: Name,
    /// `None` while it is open.
    pub(crate) closing: Option<Closing>,
    pub(crate) opened_at: Time,
    pub(crate) deadline: Time,
    pub(crate) first_interaction_at: Time,
    pub(crate) last_interaction_at: Time,
    pub(crate) interactions: u32,
    /// Of the interaction that it was opened for.
    pub(crate) skill: Option<Name>,
    pub(crate) channel: Option<Name>,
    pub(crate) campaign: Option<Name>,
    pub(crate) campaign_source: Option<Name>,
    pub(crate) campaign_medium: Option<Name>,
    pub(crate) owner: Option<Name>,
    pub(crate) score: Points,
    /// What they said together when they last changed.
    pub(crate) grade: Option<Grade>,
    pub(crate) ledger: Ledger,
    pub(crate) temperature: Temperature,
    /// Of the funnel.
    pub(crate) stage: Option<Name>,
    pub(crate) sales: Sales,
    pub(crate) converted_at: Option<Time>,
    /// Of the latest interaction that tells.
    pub(crate) device: Option<Box<Dated<Device>>>,
    /// The product of the latest interaction that is about one.
    pub(crate) last_product: Option<Box<Dated<Product>>>,
    pub(crate) attributes: Attributes,
    /// How many events have named it.
    pub(crate) version: u32,
    /// The record that changed it last.
    pub(crate) changed_at: LogPosition,
}

/// A score without its product categories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Points {
    pub(crate) total: i32,
    pub(crate) fit: i32,
    pub(crate) engagement: i32,
}

impl Points {
    pub(crate) const fn of(score: &Score) -> Self {
        Self { total: score.total, fit: score.fit, engagement: score.engagement }
    }
}

/// Sales that count, and what they sum up to in each currency, in the order in which currencies came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sales {
    pub(crate) conversions: u32,
    pub(crate) rgus: i64,
    pub(crate) sums: Vec<Sum>,
}

/// What was paid in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) total: Money,
    pub(crate) sales: u32,
}

/// A free attribute as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextAttribute {
    pub(crate) name: Name,
    pub(crate) value: Name,
    /// When it was true.
    pub(crate) at: i64,
}

/// The latest value by name, in order of name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<TextAttribute>);

/// What an interaction says about itself.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) facts: Cow<'a, InteractionFacts>,
    /// Those that were sealed.
    pub(crate) sealed: Cow<'a, [Attribute]>,
}

/// What a changed score says.
#[derive(Clone, Debug)]
pub(crate) struct Scored {
    pub(crate) points: Points,
    pub(crate) grade: Option<Grade>,
    /// When it stands.
    pub(crate) at: Time,
    /// Rows that were entered; all that there are after scoring anew.
    pub(crate) rows: Vec<LiveRow>,
    pub(crate) is_anew: bool,
    /// Of the policy that it was decided by.
    pub(crate) caps: Arc<Caps>,
}

/// What an event does to a lead.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "most changes are attached interactions, applied where they are made")]
pub(crate) enum Change<'a> {
    Attached {
        at: Time,
        deadline: Time,
        shown: Option<Shown<'a>>,
    },
    MovedAway {
        remaining: Option<(Time, Time)>,
        deadline: Time,
    },
    MovedHere {
        at: Time,
        deadline: Time,
    },
    Sold {
        value: Option<Money>,
        rgus: u32,
        at: Time,
    },
    SaleWithdrawn {
        value: Option<Money>,
        rgus: u32,
    },
    Closed(Closing),
    Reopened {
        deadline: Time,
    },
    LeadTypeChanged {
        to: Name,
        deadline: Time,
    },
    Assigned(Option<Name>),
    AttributesSet {
        attributes: Cow<'a, [Attribute]>,
        at: Time,
    },
    Scored(Box<Scored>),
    Warmed(Temperature),
    /// In the funnel.
    Advanced(Name),
    /// It was named, and nothing that the row holds is another.
    Named,
    /// It is about to be looked at, and nothing is another.
    Looked,
    /// Its visitor was erased: not an event of the lead either.
    Erased,
    /// Its visitor was merged or restored: not an event of the lead, so its version stays.
    Owned(VisitorId),
}

impl Change<'_> {
    /// The same, to be kept.
    pub(crate) fn into_owned(self) -> Change<'static> {
        match self {
            Change::Attached { at, deadline, shown } => {
                Change::Attached { at, deadline, shown: shown.map(Shown::into_owned) }
            }
            Change::AttributesSet { attributes, at } => {
                Change::AttributesSet { attributes: Cow::Owned(attributes.into_owned()), at }
            }
            Change::MovedAway { remaining, deadline } => Change::MovedAway { remaining, deadline },
            Change::MovedHere { at, deadline } => Change::MovedHere { at, deadline },
            Change::Sold { value, rgus, at } => Change::Sold { value, rgus, at },
            Change::SaleWithdrawn { value, rgus } => Change::SaleWithdrawn { value, rgus },
            Change::Closed(closing) => Change::Closed(closing),
            Change::Reopened { deadline } => Change::Reopened { deadline },
            Change::LeadTypeChanged { to, deadline } => Change::LeadTypeChanged { to, deadline },
            Change::Assigned(owner) => Change::Assigned(owner),
            Change::Scored(scored) => Change::Scored(scored),
            Change::Warmed(to) => Change::Warmed(to),
            Change::Advanced(stage) => Change::Advanced(stage),
            Change::Named => Change::Named,
            Change::Looked => Change::Looked,
            Change::Erased => Change::Erased,
            Change::Owned(visitor) => Change::Owned(visitor),
        }
    }
}

impl Shown<'_> {
    fn into_owned(self) -> Shown<'static> {
        Shown { facts: Cow::Owned(self.facts.into_owned()), sealed: Cow::Owned(self.sealed.into_owned()) }
    }
}

impl LeadState {
    /// A lead that was just opened.
    pub(crate) fn opened(id: LeadId, tenant: u32, visitor: VisitorId, lead_type: Name) -> Self {
        let time = Time::default();
        Self {
            id,
            tenant,
            visitor,
            lead_type,
            closing: None,
            opened_at: time,
            deadline: time,
            first_interaction_at: time,
            last_interaction_at: time,
            interactions: 0,
            skill: None,
            channel: None,
            campaign: None,
            campaign_source: None,
            campaign_medium: None,
            owner: None,
            score: Points::default(),
            grade: None,
            ledger: Ledger::default(),
            temperature: Temperature::default(),
            stage: None,
            sales: Sales::default(),
            converted_at: None,
            device: None,
            last_product: None,
            attributes: Attributes::default(),
            version: 0,
            changed_at: LogPosition::START,
        }
    }

    /// Sets all its times to that of its opening.
    pub(crate) const fn begin(&mut self, at: Time, deadline: Time) {
        self.opened_at = at;
        self.first_interaction_at = at;
        self.last_interaction_at = at;
        self.deadline = deadline;
    }

    /// Takes what the record at `position` does to it.
    pub(crate) fn apply(&mut self, change: &Change<'_>, position: LogPosition) {
        if matches!(change, Change::Looked) {
            return;
        }
        self.changed_at = position;
        if let Change::Owned(visitor) = change {
            self.visitor = *visitor;
            return;
        }
        if matches!(change, Change::Erased) {
            self.attributes = Attributes::default();
            return;
        }
        self.version = self.version.saturating_add(1);
        match change {
            Change::Attached { at, deadline, shown } => {
                let opening = self.interactions == 0;
                self.attach(*at, *deadline);
                if let Some(shown) = shown {
                    self.show(shown, *at, opening);
                }
            }
            Change::MovedAway { remaining, deadline } => {
                self.interactions = self.interactions.saturating_sub(1);
                (self.first_interaction_at, self.last_interaction_at) =
                    remaining.unwrap_or((self.opened_at, self.opened_at));
                self.deadline = *deadline;
            }
            Change::MovedHere { at, deadline } => self.attach(*at, *deadline),
            Change::Sold { value, rgus, at } => {
                self.sales.conversions = self.sales.conversions.saturating_add(1);
                self.sales.rgus = self.sales.rgus.saturating_add(i64::from(*rgus));
                self.converted_at = self.converted_at.max(Some(*at));
                if let Some(value) = value {
                    self.sales.add(*value);
                }
            }
            Change::SaleWithdrawn { value, rgus } => {
                self.sales.conversions = self.sales.conversions.saturating_sub(1);
                self.sales.rgus = self.sales.rgus.saturating_sub(i64::from(*rgus));
                if self.sales.conversions == 0 {
                    self.converted_at = None;
                }
                if let Some(value) = value {
                    self.sales.withdraw(*value);
                }
            }
            Change::Closed(closing) => self.closing = Some(closing.clone()),
            Change::Reopened { deadline } => {
                self.closing = None;
                self.deadline = *deadline;
            }
            Change::LeadTypeChanged { to, deadline } => {
                self.lead_type = to.clone();
                self.deadline = *deadline;
            }
            Change::Assigned(owner) => self.owner.clone_from(owner),
            Change::AttributesSet { attributes, at } => {
                for attribute in attributes.iter() {
                    self.attributes.learn(attribute, at.as_millis());
                }
            }
            Change::Scored(scored) => self.take_score(scored),
            Change::Warmed(to) => self.temperature = *to,
            Change::Advanced(stage) => self.stage = Some(stage.clone()),
            Change::Named | Change::Looked | Change::Erased | Change::Owned(_) => {}
        }
    }

    fn take_score(&mut self, scored: &Scored) {
        self.score = scored.points;
        self.grade = scored.grade;
        if scored.is_anew {
            self.ledger.replace(&scored.rows, scored.at, &scored.caps);
        } else {
            self.ledger.enter(&scored.rows, scored.at, &scored.caps);
        }
    }

    fn attach(&mut self, occurred_at: Time, deadline: Time) {
        if self.interactions == 0 {
            self.first_interaction_at = occurred_at;
            self.last_interaction_at = occurred_at;
        }
        self.first_interaction_at = self.first_interaction_at.min(occurred_at);
        self.last_interaction_at = self.last_interaction_at.max(occurred_at);
        self.interactions = self.interactions.saturating_add(1);
        self.deadline = deadline;
    }

    /// Shows what an interaction at `at` says. `opening` is the interaction that the lead was opened for.
    fn show(&mut self, shown: &Shown<'_>, at: Time, opening: bool) {
        let facts = shown.facts.as_ref();
        if opening {
            let campaign = facts.campaign.as_ref();
            let name = |text: &Option<proto_events::text::Text>| text.as_ref().map(|text| text.0.clone());
            self.channel = Some(facts.channel.0.clone());
            self.skill = name(&facts.skill);
            self.campaign = campaign.and_then(|campaign| name(&campaign.name));
            self.campaign_source = campaign.and_then(|campaign| name(&campaign.source));
            self.campaign_medium = campaign.and_then(|campaign| name(&campaign.medium));
        }
        let at = at.as_millis();
        if let Some(device) = &facts.device {
            learn(&mut self.device, device, at);
        }
        if let Some(product) = &facts.product {
            learn(&mut self.last_product, product, at);
        }
        // Answers for a policy's conditions say nothing to people.
        let sent = facts.attributes.iter().filter(|attribute| !attribute.name.as_str().starts_with(SEALED_MARK));
        for attribute in sent.chain(shown.sealed.iter()) {
            self.attributes.learn(attribute, at);
        }
    }
}

/// Puts a value in place of an older one. Of two values of one time the one recorded later counts.
fn learn<T: Clone>(known: &mut Option<Box<Dated<T>>>, value: &T, at: i64) {
    match known {
        Some(dated) if dated.at > at => {}
        Some(dated) => {
            dated.at = at;
            dated.value.clone_from(value);
        }
        None => *known = Some(Box::new(Dated { value: value.clone(), at })),
    }
}

impl Sales {
    /// The sum in the currency that came first. Amounts of other currencies can't be added to it.
    pub(crate) fn value(&self) -> Option<Money> {
        self.sums.first().map(|sum| sum.total)
    }

    fn add(&mut self, value: Money) {
        match self.sums.iter_mut().find(|sum| sum.total.currency == value.currency) {
            Some(sum) => {
                sum.total.amount = sum.total.amount.saturating_add(value.amount);
                sum.sales = sum.sales.saturating_add(1);
            }
            None => self.sums.push(Sum { total: value, sales: 1 }),
        }
    }

    fn withdraw(&mut self, value: Money) {
        if let Some(sum) = self.sums.iter_mut().find(|sum| sum.total.currency == value.currency) {
            sum.total.amount = sum.total.amount.saturating_sub(value.amount);
            sum.sales = sum.sales.saturating_sub(1);
        }
        self.sums.retain(|sum| sum.sales > 0);
    }
}

impl Attributes {
    /// Those of a stored row, which are in order of name.
    pub(crate) const fn from_sorted(attributes: Vec<TextAttribute>) -> Self {
        Self(attributes)
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, TextAttribute> {
        self.0.iter()
    }

    /// Takes a value that was true at `at`; one of an earlier time than the known one is history already.
    fn learn(&mut self, attribute: &Attribute, at: i64) {
        let name = &attribute.name.0;
        match self.0.binary_search_by(|known| known.name.cmp(name)) {
            Ok(place) => {
                if let Some(known) = self.0.get_mut(place).filter(|known| known.at <= at) {
                    known.at = at;
                    let value = value_text(&attribute.value);
                    if known.value != *value {
                        known.value = value.as_ref().into();
                    }
                }
            }
            Err(place) => {
                let value = value_text(&attribute.value).as_ref().into();
                self.0.insert(place, TextAttribute { name: name.clone(), value, at });
                self.make_room();
            }
        }
    }

    fn make_room(&mut self) {
        if self.0.len() > ATTRIBUTES_MAX {
            let oldest = self.0.iter().enumerate().min_by_key(|(_, known)| known.at).map(|(place, _)| place);
            if let Some(place) = oldest {
                self.0.remove(place);
            }
        }
    }
}
