//! One lead's row, and how events change it. Agrees with the decider's own fold about everything that both know.

use event_log::LogPosition;
use lead_domain::policy::condition::SEALED_MARK;
use lead_domain::policy::grid::Grade;
use lead_domain::{CloseCause, Currency, LeadId, Money, Name, Score, Temperature, Time, VisitorId};
use proto_events::stored::{Attribute, Campaign, Device, Product};
use serde_json::Value as Json;

use crate::state::attributes::Attributes;
use crate::state::{Dated, learn};

/// The most notes that a lead shows, the latest ones. Older ones stay in the log.
pub(crate) const NOTES_MAX: usize = 500;

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
    /// As the channel sent it.
    pub(crate) customer_id: Option<Name>,
    /// Of the interaction that it was opened for.
    pub(crate) skill: Option<Name>,
    pub(crate) channel: Option<Name>,
    pub(crate) campaign: Option<Name>,
    pub(crate) campaign_source: Option<Name>,
    pub(crate) campaign_medium: Option<Name>,
    /// The operator's account name.
    pub(crate) owner: Option<Name>,
    pub(crate) stage: Option<Name>,
    pub(crate) temperature: Temperature,
    /// As of its latest score; of none at its opening.
    pub(crate) grade: Option<Grade>,
    /// `None` for no points at all.
    pub(crate) score: Option<Box<Score>>,
    pub(crate) sales: Sales,
    /// Of the latest interaction that tells.
    pub(crate) device: Option<Box<Dated<Device>>>,
    /// The product of the latest interaction that is about one.
    pub(crate) last_product: Option<Box<Dated<Product>>>,
    pub(crate) attributes: Attributes,
    /// In order of recording.
    pub(crate) notes: Vec<Dated<String>>,
    /// How many events have named it.
    pub(crate) version: u32,
    /// The record that changed it last.
    pub(crate) changed_at: LogPosition,
    /// Whether the visitor or the customer id differs from the stored row. Only they have an index, which a write of the
    /// others leaves alone.
    pub(crate) index_changed: bool,
}

/// How a lead ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) cause: CloseCause,
    pub(crate) at: Time,
    pub(crate) reason: Option<Name>,
}

/// Sales that count: how many, and what they sum up to in each currency, in the order in which currencies came.
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
    /// How many sales it is the sum of.
    pub(crate) sales: u32,
}

/// What an interaction shows about itself, borrowed from its record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch<'a> {
    pub(crate) channel: &'a Name,
    pub(crate) skill: Option<&'a Name>,
    pub(crate) campaign: Option<&'a Campaign>,
    pub(crate) device: Option<&'a Device>,
    pub(crate) product: Option<&'a Product>,
    /// Those in the facts.
    pub(crate) attributes: &'a [Attribute],
    /// Those that were sealed.
    pub(crate) sealed_attributes: &'a [Attribute],
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
            customer_id: None,
            skill: None,
            channel: None,
            campaign: None,
            campaign_source: None,
            campaign_medium: None,
            owner: None,
            stage: None,
            temperature: Temperature::default(),
            grade: None,
            score: None,
            sales: Sales::default(),
            device: None,
            last_product: None,
            attributes: Attributes::default(),
            notes: Vec::new(),
            version: 0,
            changed_at: LogPosition::START,
            index_changed: false,
        }
    }

    /// Sets all its times to that of its opening.
    pub(crate) const fn begin(&mut self, at: Time, deadline: Time) {
        self.opened_at = at;
        self.first_interaction_at = at;
        self.last_interaction_at = at;
        self.deadline = deadline;
    }

    /// It took an interaction.
    pub(crate) fn attach(&mut self, occurred_at: Time, deadline: Time) {
        if self.interactions == 0 {
            self.first_interaction_at = occurred_at;
            self.last_interaction_at = occurred_at;
        }
        self.first_interaction_at = self.first_interaction_at.min(occurred_at);
        self.last_interaction_at = self.last_interaction_at.max(occurred_at);
        self.interactions = self.interactions.saturating_add(1);
        self.deadline = deadline;
    }

    /// It lost an interaction and keeps those in the span `remaining`.
    pub(crate) fn detach(&mut self, remaining: Option<(Time, Time)>, deadline: Time) {
        self.interactions = self.interactions.saturating_sub(1);
        (self.first_interaction_at, self.last_interaction_at) = remaining.unwrap_or((self.opened_at, self.opened_at));
        self.deadline = deadline;
    }

    /// Shows what an interaction at `at` says. `opening` is the interaction that the lead was opened for.
    pub(crate) fn show(&mut self, touch: &Touch<'_>, at: Time, opening: bool) {
        if opening {
            let campaign = touch.campaign;
            let name = |text: &Option<proto_events::text::Text>| text.as_ref().map(|text| text.0.clone());
            self.channel = Some(touch.channel.clone());
            self.skill = touch.skill.cloned();
            self.campaign = campaign.and_then(|campaign| name(&campaign.name));
            self.campaign_source = campaign.and_then(|campaign| name(&campaign.source));
            self.campaign_medium = campaign.and_then(|campaign| name(&campaign.medium));
        }
        let at = at.as_millis();
        if let Some(device) = touch.device {
            learn_boxed(&mut self.device, device, at);
        }
        if let Some(product) = touch.product {
            learn_boxed(&mut self.last_product, product, at);
        }
        // Answers for a policy's conditions say nothing to people.
        let sent = touch.attributes.iter().filter(|attribute| !attribute.name.as_str().starts_with(SEALED_MARK));
        for attribute in sent.chain(touch.sealed_attributes) {
            self.attributes.learn(attribute, at);
        }
    }

    /// All its points.
    pub(crate) fn total(&self) -> i32 {
        self.score.as_ref().map_or(0, |score| score.total)
    }

    /// How it ended; `None` while it is open.
    pub(crate) fn cause(&self) -> Option<CloseCause> {
        self.closing.as_ref().map(|closing| closing.cause)
    }

    /// A sale counted.
    pub(crate) fn add_sale(&mut self, value: Option<Money>, rgus: u32) {
        self.sales.conversions = self.sales.conversions.saturating_add(1);
        self.sales.rgus = self.sales.rgus.saturating_add(i64::from(rgus));
        if let Some(value) = value {
            self.sales.add(value);
        }
    }

    /// A sale was taken back.
    pub(crate) fn withdraw_sale(&mut self, value: Option<Money>, rgus: u32) {
        self.sales.conversions = self.sales.conversions.saturating_sub(1);
        self.sales.rgus = self.sales.rgus.saturating_sub(i64::from(rgus));
        if let Some(value) = value {
            self.sales.withdraw(value);
        }
    }

    /// An operator wrote a note.
    pub(crate) fn add_note(&mut self, text: &str, at: Time) {
        if self.notes.len() >= NOTES_MAX {
            self.notes.remove(0);
        }
        self.notes.push(Dated { value: text.to_owned(), at: at.as_millis() });
    }
}

fn learn_boxed<T: Clone + PartialEq>(known: &mut Option<Box<Dated<T>>>, value: &T, at: i64) {
    match known {
        Some(dated) if dated.at > at => {}
        Some(dated) => {
            dated.at = at;
            // Mostly it is the same device, and a copy costs more than a look.
            if dated.value != *value {
                dated.value.clone_from(value);
            }
        }
        None => {
            let mut first = None;
            learn(&mut first, value, at);
            *known = first.map(Box::new);
        }
    }
}

impl Sales {
    /// What is shown: the sum in the currency that came first. Amounts of other currencies can't be added to it.
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

    /// The stored form of the sums: a list of `[currency, amount, sales]`; `None` when there is none.
    pub(crate) fn sums_to_json(&self) -> Option<String> {
        let sum = |sum: &Sum| serde_json::json!([sum.total.currency.code(), sum.total.amount, sum.sales]);
        (!self.sums.is_empty()).then(|| Json::Array(self.sums.iter().map(sum).collect()).to_string())
    }

    /// Reads the stored form; `None` when it is damaged.
    pub(crate) fn sums_from_json(text: &str) -> Option<Vec<Sum>> {
        let stored: Vec<(String, i64, u32)> = serde_json::from_str(text).ok()?;
        let sum = |(code, amount, sales): (String, i64, u32)| {
            Some(Sum { total: Money { amount, currency: Currency::new(&code)? }, sales })
        };
        stored.into_iter().map(sum).collect()
    }
}
