//! Random histories, decided by the decider: everything that visitors and operators do, for the tests of every projection.

use lead_domain::command::Adoption;
use lead_domain::event::AfterUnmerge;
use lead_domain::interaction::Sale;
use lead_domain::{Command, InteractionId, LeadId, VisitorId};
use proto_events::Personal;
use proto_events::stored::{Attribute, Value};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::{World, touch};

/// A history of some hundred records with everything in it that operators and visitors do.
pub(crate) fn random_world(seed: u64, steps: i64) -> World {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut world = World::new();
    for step in 0..steps {
        match random.random_range(0..100) {
            0..60 => someone_comes(&mut world, &mut random, step),
            60..97 => {
                if let Some(command) = any_command(&world, &mut random) {
                    let attributes = vec![Attribute { name: "plan".into(), value: Value::Integer(step) }];
                    let note = Some(format!("note {step}").as_str().into());
                    // A refusal is a normal answer, and leaves no record.
                    let _ = world.asked(step * 3, command, Personal { attributes, note, ..Personal::default() });
                }
            }
            _ => world.ticks(step * 3),
        }
    }
    world
}

/// Rules of every kind: caps and a floor, decay, limits, categories, frequencies, bots.
pub(crate) const SCORING: &str = r#"
[scoring]
total_cap = 60

[[scoring.group]]
name = "behaviour"
kind = "engagement"
cap = 40

[[scoring.group]]
name = "profile"
kind = "fit"
cap = 12

[[scoring.rule]]
name = "was here"
group = "behaviour"
points = 7
when = { action = "page.viewed" }
decay = { every = "2d", percent = 40 }

[[scoring.rule]]
name = "was here again, which is what this rule with a long name says"
group = "behaviour"
points = 5
when = { action = "page.viewed", at_least = 3, within = "5d" }
limit = { times = 2, within = "1d" }
decay = { every = "12h", percent = 50 }
by_category = true

[[scoring.rule]]
name = "bought"
group = "behaviour"
points = 15
when = { action = "purchase" }

[[scoring.rule]]
name = "sent a fax"
group = "profile"
points = -4
when = { channel = "fax" }
decay = { every = "3d", percent = 100 }

[[scoring.rule]]
name = "chats"
group = "profile"
points = 9
when = { channel = "chat" }

[[bot_rule]]
name = "too fast"
at_least = 4
within = "4h"
"#;

/// What another policy may say of the same.
pub(crate) fn other_scoring() -> String {
    let fewer = SCORING.replace("points = 15", "points = 11").replace("cap = 40", "cap = 25");
    fewer.replace("name = \"chats\"", "name = \"talks\"")
}

/// A history with points that are given, lapse, move, are taken away, and are given anew by other rules.
pub(crate) fn scored_world(seed: u64, steps: i64) -> World {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut world = World::with(SCORING);
    for step in 0..steps {
        match random.random_range(0..100) {
            0..60 => someone_comes(&mut world, &mut random, step),
            60..75 => {
                let ids: Vec<InteractionId> = world.placed.keys().copied().collect();
                if let Some(id) = ids.choose(&mut random).copied() {
                    let recorded_in = world.touched[&id].2;
                    let interaction = world.recorded(id);
                    let command = Command::DiscreditInteraction { interaction, recorded_in };
                    let _ = world.asked(step * 3, command, Personal::default());
                }
            }
            75..97 => {
                let moved = movement(&world, &mut random).filter(|_| random.random_bool(0.5));
                if let Some(command) = moved.or_else(|| any_command(&world, &mut random)) {
                    let _ = world.asked(step * 3, command, Personal::default());
                }
            }
            _ => world.ticks(step * 3),
        }
        if step == steps / 2 {
            world.scores_anew(step * 3, &other_scoring());
        }
    }
    world
}

pub(crate) fn someone_comes(world: &mut World, random: &mut ChaCha8Rng, step: i64) {
    let late = if random.random_bool(0.15) { random.random_range(0..80) } else { 0 };
    let mut touching = touch((step * 3 - late).max(0));
    let mut one_of = |names: usize| random.random_range(0..names);
    touching = touching.cookie(&format!("cookie-{}", one_of(14)));
    if one_of(3) == 0 {
        touching = touching.email(&format!("Person{}@example.com", one_of(8)));
    }
    if one_of(5) == 0 {
        touching = touching.customer(&format!("K-{}", one_of(6))).named(&format!("Name {}", one_of(9)));
    }
    touching = match one_of(8) {
        0 => touching.skill("support"),
        1 => touching.skill("sales").campaign("spring"),
        2 => touching.channel("fax").product("Fax", 3),
        3 => touching.channel("chat").device("Firefox", "mobile"),
        4 => touching.purchase(step * 100, *b"EUR", Some(one_of(30) as u128)),
        _ => touching.attribute("plan", Value::Text(format!("plan {step}").as_str().into())),
    };
    world.happens(touching);
}

pub(crate) fn any_command(world: &World, random: &mut ChaCha8Rng) -> Option<Command> {
    let visitor = VisitorId(random.random_range(1..=world.shelf.last_visitor().0.max(1)));
    let other = VisitorId(random.random_range(1..=world.shelf.last_visitor().0.max(1)));
    let leads: Vec<LeadId> = world.shelf.book(visitor)?.leads.iter().map(|lead| lead.id).collect();
    let lead_type = *["tablets", "broadband"].choose(random)?;
    let afterwards = *[AfterUnmerge::KeepApart, AfterUnmerge::MayMergeAgain].choose(random)?;
    let lead = leads.choose(random).copied();
    Some(match random.random_range(0..14) {
        0 => Command::OpenLead { visitor, lead_type: lead_type.into() },
        1 => Command::CloseLead { lead: lead?, reason: "duplicate".into() },
        2 => Command::ConvertLead { lead: lead?, sale: Sale { value: None, rgus: 1, order: None } },
        3 => Command::WithdrawConversion { lead: lead?, order: None },
        4 => Command::ReopenLead { lead: lead? },
        5 => Command::ChangeLeadType { lead: lead?, lead_type: lead_type.into() },
        6 => Command::AssignLead { lead: lead?, owner: random.random_bool(0.7).then(|| "olga".into()) },
        7 => Command::AddNote { lead: lead? },
        8 => Command::SetAttributes { lead: lead?, names: vec!["plan".into()] },
        9 => adoption(world, random, lead, lead_type)?,
        10 => movement(world, random)?,
        11 => Command::MergeVisitors { one: visitor, other },
        12 => Command::UnmergeVisitor { visitor, afterwards },
        _ => Command::SettleDuplicate { one: visitor, other },
    })
}

fn adoption(world: &World, random: &mut ChaCha8Rng, lead: Option<LeadId>, lead_type: &str) -> Option<Command> {
    let orphans: Vec<InteractionId> =
        world.touched.keys().copied().filter(|id| !world.placed.contains_key(id)).collect();
    let orphan = world.recorded(*orphans.choose(random)?);
    let into = match lead.filter(|_| random.random_bool(0.3)) {
        Some(lead) => Adoption::Lead(lead),
        None => Adoption::NewLead(lead_type.into()),
    };
    Some(Command::AdoptOrphan { orphan, into })
}

fn movement(world: &World, random: &mut ChaCha8Rng) -> Option<Command> {
    let attached: Vec<InteractionId> = world.placed.keys().copied().collect();
    let id = *attached.choose(random)?;
    let interaction = world.recorded(id);
    let from = world.placed[&id];
    let recorded_in = world.touched[&id].2.unwrap_or(from);
    let book = world.shelf.book(interaction.visitor)?;
    let to = book.leads.choose(random)?.id;
    Some(Command::MoveInteraction { interaction, recorded_in, to, remaining: world.remaining(from, id) })
}
