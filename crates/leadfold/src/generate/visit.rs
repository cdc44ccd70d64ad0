//! Visits and the touches they are made of, in order of time. Knows no identifiers' values and no JSON.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::GenerateArgs;
use super::calendar::Calendar;
use super::catalogue::{BROADBAND, CAMPAIGNS, CATEGORIES, FIRST_MAILING, PRODUCTS_PER_CATEGORY};
use super::dice::{Dice, LongTail};
use super::person::{Person, Shows};

/// The most touches of one visit.
const TOUCHES_MAX: u64 = 48;
/// Between two touches, in milliseconds: mostly one or two minutes.
const GAP: LongTail = LongTail { median: 75_000, spread_percent: 95, least: 1_500, most: 40 * 60_000 };
/// How much more often people of low rank come back. 0 would be all alike.
const SKEW: f64 = 0.65;
/// A prime above the number of visitors: multiplying by it scatters ranks over all of them.
const LOYALTY_SCATTER: u64 = 2_147_483_647;

/// How many pieces of a thing people take.
const QUANTITIES: &[(u64, u8)] = &[(780, 1), (160, 2), (60, 3)];

/// What a visitor does in one touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Page,
    Product,
    Search,
    Compare,
    Video,
    Cart,
    Purchase,
    Subscription,
    Login,
    Form,
    Subscribe,
    Unsubscribe,
    Banner,
    Mailing,
    ChatStart,
    ChatMessage,
    ChatEnd,
    CallStart,
    CallTransfer,
    CallEnd,
    CallMissed,
    Contract,
    Kiosk,
}

/// Where a visit goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Journey {
    #[default]
    Browse,
    Advert,
    Chat,
    Call,
}

/// One touch, with everything that its event is written from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    /// Milliseconds since the epoch.
    pub(super) at: i64,
    /// From 1, in order of time.
    pub(super) serial: u64,
    pub(super) visitor: u32,
    /// Which of the visitor's devices, from 0.
    pub(super) slot: u8,
    pub(super) step: Step,
    pub(super) shows: Shows,
    /// Place in the catalogue.
    pub(super) product: Option<u8>,
    pub(super) quantity: u8,
    /// Place in the catalogue.
    pub(super) campaign: Option<u8>,
    /// Whether the support desk is meant instead of sales.
    pub(super) support: bool,
    /// The serial that the order was given at.
    pub(super) order: Option<u64>,
    /// Whether it begins a visit.
    pub(super) first: bool,
    /// Random bits for everything else.
    pub(super) noise: u64,
    /// Whether its content was changed after it was first sent.
    pub(super) revised: bool,
}

/// What is remembered of a person between visits.
#[derive(Clone, Copy, Default)]
struct Standing {
    touches: u16,
    /// What each device has told.
    known: [Shows; 2],
    cart: Option<u8>,
    quantity: u8,
}

/// A visit under way.
struct Visit {
    at: i64,
    number: u64,
    visitor: u32,
    slot: u8,
    journey: Journey,
    support: bool,
    campaign: Option<u8>,
    category: u64,
    product: Option<u8>,
    /// Whether the device still tells what it told before.
    recognised: bool,
    last: Option<Step>,
    order: Option<u64>,
    left: u64,
}

impl Ord for Visit {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Visit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Visit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Visit {}

/// All visits of a run. Memory grows with the number of people and of visits that go on at one time.
pub(super) struct Visits {
    dice: Dice,
    run: u64,
    calendar: Calendar,
    population: u64,
    /// By person, for those who have come.
    standings: Vec<Standing>,
    active: BinaryHeap<Reverse<Visit>>,
    upcoming: Option<Upcoming>,
    /// How many touches there will be.
    wanted: u64,
    /// How many of them belong to visits that began or are upcoming.
    scheduled: u64,
    made: u64,
    begun: u64,
    /// Touches of a visit, in hundredths.
    length: LongTail,
}

/// The next visit to begin.
struct Upcoming {
    at: i64,
    touches: u64,
}

impl Visits {
    /// Visits with `wanted` touches altogether.
    pub(super) fn new(args: &GenerateArgs, run: u64, wanted: u64) -> Self {
        // About two and a half visits a person, where a visit of that length is neither too short nor too long.
        let mean = (wanted.saturating_mul(40) / args.visitors).clamp(150, 800);
        let length = LongTail { median: mean * 73 / 100, spread_percent: 80, least: 100, most: TOUCHES_MAX * 100 };
        let mut visits = Self {
            dice: Dice::new(run),
            run,
            calendar: Calendar::new(args.start.0, args.days),
            population: args.visitors,
            standings: Vec::new(),
            active: BinaryHeap::new(),
            upcoming: None,
            wanted,
            scheduled: 0,
            made: 0,
            begun: 0,
            length,
        };
        visits.schedule();
        visits
    }

    /// How many people have come.
    pub(super) fn visitors_seen(&self) -> u64 {
        self.standings.len() as u64
    }

    /// When the next touch happens.
    pub(super) fn next_at(&self) -> Option<i64> {
        let active = self.active.peek().map(|Reverse(visit)| visit.at);
        let upcoming = self.upcoming.as_ref().map(|upcoming| upcoming.at);
        active.into_iter().chain(upcoming).min()
    }

    /// The next touch in order of time.
    pub(super) fn next_touch(&mut self) -> Option<Touch> {
        let at = self.next_at()?;
        if let Some(upcoming) = self.upcoming.take_if(|upcoming| upcoming.at <= at) {
            self.begin(&upcoming);
            self.schedule();
        }
        let Reverse(mut visit) = self.active.pop()?;
        let touch = self.touch(&mut visit);
        visit.left = visit.left.saturating_sub(1);
        if visit.left > 0 {
            visit.at += self.dice.long_tailed(GAP) as i64;
            visit.last = Some(touch.step);
            self.active.push(Reverse(visit));
        }
        Some(touch)
    }

    fn schedule(&mut self) {
        let left = self.wanted - self.scheduled;
        if left == 0 {
            return;
        }
        let touches = (self.dice.long_tailed(self.length) + 50) / 100;
        let touches = touches.min(left);
        let start = self.scheduled + self.dice.below(touches);
        let jitter = self.dice.below(1_000);
        let at = self.calendar.time_at(start, self.wanted).saturating_add(jitter as i64);
        self.upcoming = Some(Upcoming { at, touches });
        self.scheduled += touches;
    }

    fn begin(&mut self, upcoming: &Upcoming) {
        let visitor = self.pick_visitor();
        let person = Person::new(self.run, visitor);
        let dice = &mut self.dice;
        self.begun += 1;
        let journey = if upcoming.touches <= 4 && person.tells().has(Shows::PHONE) && dice.chance(330) {
            Journey::Call
        } else {
            dice.weighted(&[(700, Journey::Browse), (180, Journey::Advert), (120, Journey::Chat)])
        };
        let mailing = journey == Journey::Advert && person.tells().has(Shows::EMAIL) && dice.chance(400);
        let campaign = (journey == Journey::Advert).then(|| {
            let place = if mailing {
                FIRST_MAILING + dice.below(CAMPAIGNS.len() as u64 - FIRST_MAILING)
            } else {
                dice.below(FIRST_MAILING)
            };
            place as u8
        });
        let visit = Visit {
            at: upcoming.at,
            number: self.begun,
            visitor: visitor as u32,
            slot: u8::from(person.has_two_devices() && dice.chance(450)),
            journey,
            support: dice.chance(300),
            campaign,
            category: dice.below(CATEGORIES),
            product: None,
            recognised: dice.chance(700),
            last: None,
            order: None,
            left: upcoming.touches,
        };
        self.active.push(Reverse(visit));
    }

    /// Somebody new as often as is needed for everybody to come, otherwise somebody who was here before.
    fn pick_visitor(&mut self) -> u64 {
        let seen = self.visitors_seen();
        let to_come = self.population - seen;
        let visits_left = (self.wanted - self.made).saturating_mul(73) / self.length.median.max(1);
        if seen == 0 || self.dice.below(visits_left.max(1)) < to_come {
            self.standings.push(Standing::default());
            return seen;
        }
        let loyal = self.dice.rank(self.population, SKEW).wrapping_mul(LOYALTY_SCATTER) % self.population;
        if self.dice.chance(500) && loyal < seen {
            return loyal;
        }
        seen - 1 - self.dice.rank(seen, SKEW)
    }

    fn touch(&mut self, visit: &mut Visit) -> Touch {
        self.made += 1;
        let person = Person::new(self.run, u64::from(visit.visitor));
        let mut standing = self.standings.get(visit.visitor as usize).copied().unwrap_or_default();
        let mut scene = Scene { visit, standing: &mut standing, tells: person.tells(), dice: &mut self.dice };
        let wished = scene.next_step();
        let step = scene.possible(wished, person.patience());
        let shows = scene.shows(step);
        let product = scene.product(step);
        let quantity = scene.quantity(step);
        scene.remember(step, shows, self.made);
        let touch = Touch {
            at: visit.at,
            serial: self.made,
            visitor: visit.visitor,
            slot: visit.slot,
            step,
            shows,
            product,
            quantity,
            campaign: visit.campaign.filter(|_| visit.last.is_none() || step == Step::Purchase),
            support: visit.support,
            order: visit.order.filter(|_| step == Step::Purchase),
            first: visit.last.is_none(),
            noise: self.dice.bits(),
            revised: false,
        };
        if let Some(place) = self.standings.get_mut(visit.visitor as usize) {
            *place = standing;
        }
        touch
    }
}

/// A visit and its visitor at one touch.
struct Scene<'a> {
    visit: &'a mut Visit,
    standing: &'a mut Standing,
    tells: Shows,
    dice: &'a mut Dice,
}

impl Scene<'_> {
    /// What the visitor would do next.
    fn next_step(&mut self) -> Step {
        match (self.visit.journey, self.visit.last) {
            (Journey::Call, None) if self.visit.left == 1 => Step::CallMissed,
            (Journey::Call, None) => Step::CallStart,
            (Journey::Call, Some(_)) if self.visit.left > 1 => Step::CallTransfer,
            (Journey::Call, Some(_)) => self.dice.weighted(&[(800, Step::CallEnd), (200, Step::Contract)]),
            (Journey::Chat, None) => Step::ChatStart,
            (Journey::Advert, None) if self.visit.campaign.is_some_and(|place| u64::from(place) >= FIRST_MAILING) => {
                Step::Mailing
            }
            (Journey::Advert, None) => Step::Banner,
            (_, Some(Step::ChatStart | Step::ChatMessage)) => self.dice.weighted(&[
                (640, Step::ChatMessage),
                (200, Step::ChatEnd),
                (110, Step::Product),
                (50, Step::Form),
            ]),
            (_, Some(Step::Purchase)) if self.dice.chance(40) => Step::Purchase,
            (_, Some(Step::Cart)) => self.dice.weighted(&[
                (420, Step::Purchase),
                (200, Step::Login),
                (250, Step::Product),
                (130, Step::Cart),
            ]),
            (Journey::Browse | Journey::Advert | Journey::Chat, _) => self.browse(),
        }
    }

    fn browse(&mut self) -> Step {
        self.dice.weighted(&[
            (320, Step::Product),
            (290, Step::Page),
            (80, Step::Search),
            (80, Step::Cart),
            (50, Step::Compare),
            (80, Step::Login),
            (70, Step::Form),
            (25, Step::ChatStart),
            (20, Step::Video),
            (20, Step::Purchase),
            (12, Step::Subscribe),
            (8, Step::Unsubscribe),
            (4, Step::Subscription),
            (3, Step::Kiosk),
        ])
    }

    /// The step, or something harmless where the visitor can't or won't do it yet.
    fn possible(&self, step: Step, patience: u16) -> Step {
        let patient = self.standing.touches >= patience;
        let mail = self.tells.has(Shows::EMAIL);
        let known = self.standing.known.get(usize::from(self.visit.slot)).copied().unwrap_or_default();
        let refused = |steps: &[Step], because: bool| because && steps.contains(&step);
        if refused(&[Step::Login], !patient || !self.tells.has(Shows::CUSTOMER) || known.has(Shows::CUSTOMER))
            || refused(&[Step::Form, Step::Subscribe], !patient || !mail)
            || refused(&[Step::Unsubscribe], !known.has(Shows::EMAIL))
            || refused(&[Step::Subscription], !self.tells.has(Shows::CUSTOMER))
        {
            Step::Page
        } else if refused(&[Step::Purchase], !mail || (self.standing.cart.is_none() && self.visit.order.is_none())) {
            Step::Product
        } else {
            step
        }
    }

    /// What the touch shows of the visitor; never nothing.
    fn shows(&mut self, step: Step) -> Shows {
        let known = self.standing.known.get(usize::from(self.visit.slot)).copied().unwrap_or_default();
        let recognised = if self.visit.recognised { known } else { Shows::NOTHING };
        let device = Shows::DEVICE.and(recognised);
        match step {
            Step::CallStart | Step::CallTransfer | Step::CallEnd | Step::CallMissed => Shows::PHONE,
            Step::Contract => Shows::PHONE.and(self.tells.within(Shows::CUSTOMER)),
            Step::Kiosk if self.tells.has(Shows::CUSTOMER) => Shows::CUSTOMER,
            Step::Login | Step::Subscription => device.and(Shows::CUSTOMER).and(Shows::EMAIL),
            Step::Subscribe | Step::Unsubscribe | Step::Mailing => device.and(Shows::EMAIL),
            Step::Form if self.dice.chance(500) => device.and(Shows::EMAIL).and(self.tells.within(Shows::PHONE)),
            Step::Form => device.and(Shows::EMAIL),
            Step::Purchase => {
                let told = if self.dice.chance(300) { Shows::PHONE.and(Shows::CUSTOMER) } else { Shows::CUSTOMER };
                device.and(Shows::EMAIL).and(self.tells.within(told))
            }
            Step::Page
            | Step::Product
            | Step::Search
            | Step::Compare
            | Step::Video
            | Step::Cart
            | Step::Banner
            | Step::ChatStart
            | Step::ChatMessage
            | Step::ChatEnd
            | Step::Kiosk => device,
        }
    }

    /// What the touch is about, as a place in the catalogue.
    fn product(&mut self, step: Step) -> Option<u8> {
        const SHOWN: [Step; 6] =
            [Step::Product, Step::Compare, Step::Video, Step::Subscription, Step::Cart, Step::Contract];
        if step == Step::Purchase {
            return self.standing.cart.or(self.visit.product);
        }
        if !SHOWN.contains(&step) {
            return None;
        }
        if step == Step::Contract {
            self.visit.category = BROADBAND;
        }
        let strays = step == Step::Product && self.dice.chance(200);
        let category = if strays { self.dice.below(CATEGORIES) } else { self.visit.category };
        let drawn = category * PRODUCTS_PER_CATEGORY + self.dice.below(PRODUCTS_PER_CATEGORY);
        let product = self.visit.product.filter(|_| step == Step::Cart).unwrap_or(drawn as u8);
        self.visit.product = Some(product);
        Some(product)
    }

    fn quantity(&mut self, step: Step) -> u8 {
        if step == Step::Cart {
            self.standing.quantity = self.dice.weighted(QUANTITIES);
        }
        if matches!(step, Step::Cart | Step::Purchase) {
            self.standing.quantity.max(1)
        } else if step == Step::Contract {
            self.dice.weighted(QUANTITIES)
        } else {
            1
        }
    }

    fn remember(&mut self, step: Step, shows: Shows, serial: u64) {
        self.standing.touches = self.standing.touches.saturating_add(1);
        if matches!(step, Step::Login | Step::Form | Step::Purchase | Step::Subscribe) {
            let told = shows.within(Shows::EMAIL.and(Shows::PHONE).and(Shows::CUSTOMER));
            if let Some(known) = self.standing.known.get_mut(usize::from(self.visit.slot)) {
                *known = known.and(told);
            }
            self.visit.recognised |= step == Step::Login;
        }
        if step == Step::Cart {
            self.standing.cart = self.visit.product;
        }
        if step == Step::Purchase {
            // A second report of an order bears the first one's number.
            if self.standing.cart.is_some() {
                self.visit.order = Some(serial);
            }
            self.visit.product = self.standing.cart.take().or(self.visit.product);
        }
    }
}
