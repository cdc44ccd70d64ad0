//! Every filter with every sort, page by page, against a plain evaluation of all rows, while commits come in between.

use std::thread;

use event_log::LogPosition;
use lead_domain::{LeadId, TenantId};
use listing::{LeadQuery, LeadRow, LeadStatus, Listing, ListingReader, ListingReaders};
use projector::Projector;
use proptest::prelude::*;
use proto_events::stored::Value;

use crate::histories::random_world;
use crate::paging::SORTS;
use crate::world::{ACME, World, touch};

const FILTERS: [(&str, &str); 46] = [
    ("status", "open"),
    ("status", "closed"),
    ("status", "open,closed"),
    ("lead_type", "tablets"),
    ("lead_type", "broadband,tablets"),
    ("lead_type", "unheard of"),
    ("group", "devices"),
    ("group", "connectivity,devices"),
    ("group", "unheard of"),
    ("skill", "sales"),
    ("skill", "sales,support,unheard of"),
    ("channel", "chat"),
    ("channel", "chat,web"),
    ("temperature", "hot"),
    ("grade", "C3"),
    ("grade", "A1,b2"),
    ("stage", "research"),
    ("owner", "olga"),
    ("close_cause", "inactivity"),
    ("close_cause", "conversion,operator,merged"),
    ("customer_id", "K-1,K-2"),
    ("email", "person3@example.com"),
    ("email", "person1@example.com,person2@example.com"),
    ("phone", "+4930123456"),
    ("campaign", "spring"),
    ("score_min", "0"),
    ("score_min", "1"),
    ("score_max", "0"),
    ("value_min", "1"),
    ("value_min", "-9223372036854775808"),
    ("value_max", "20000"),
    ("value_max", "9223372036854775807"),
    ("opened_from", "1970-01-10"),
    ("opened_to", "1970-01-20"),
    ("closed_from", "1970-01-10"),
    ("closed_to", "1970-01-20"),
    ("last_interaction_from", "1970-01-10T01:00:00+01:00"),
    ("last_interaction_to", "1970-01-20"),
    ("attr.plan", "pro"),
    ("attr.plan", "pro,7"),
    ("attr.none", "1"),
    ("q", "example"),
    ("q", "name 3"),
    ("q", "me"),
    ("q", "person1@example"),
    ("q", "nobody"),
];

/// A history with two tenants, and with attributes that several leads share.
fn two_tenants(seed: u64, steps: i64) -> World {
    let mut world = random_world(seed, steps);
    let other = TenantId(2);
    world.adopt("other", other);
    for number in 0..40 {
        world.happens_to(other, touch(number).cookie(&format!("other {number}")).email("person3@example.org"));
        let plan = if number % 3 == 0 { Value::Integer(7) } else { Value::Text("pro".into()) };
        let touching = touch(steps * 3 + number).cookie(&format!("cookie-{}", number % 14)).attribute("plan", plan);
        world.happens(touching.phone("+4930123456").named(&format!("Name {}", number % 5)));
    }
    world
}

fn ids(world: &World) -> Vec<LeadId> {
    let books = world.shelf.visitors().into_iter().filter_map(|visitor| world.shelf.book(visitor));
    books.flat_map(|book| book.leads.iter().map(|lead| lead.id).collect::<Vec<_>>()).collect()
}

/// A lead with what a search looks at.
struct Known {
    row: LeadRow,
    searched: String,
}

/// All leads that are listed, each read by itself.
fn all(reader: &ListingReader, ids: &[LeadId]) -> Vec<Known> {
    let rows = ids.iter().filter_map(|id| reader.lead(ACME, *id).unwrap().0);
    let known = rows.map(|row| {
        let visitor = reader.visitor(ACME, row.visitor_id).unwrap().0.unwrap();
        let contact = &row.contact;
        let fields = [&contact.name, &contact.email, &contact.phone, &visitor.customer_id];
        let searched: Vec<String> = fields.into_iter().flatten().map(|text| text.to_lowercase()).collect();
        Known { row, searched: searched.join("\n") }
    });
    known.collect()
}

fn millis(text: &str) -> i64 {
    let text = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    chrono::DateTime::parse_from_rfc3339(&text).unwrap().timestamp_millis()
}

fn matches(Known { row, searched }: &Known, name: &str, value: &str) -> bool {
    let any = |found: Option<&str>| found.is_some_and(|found| value.split(',').any(|value| value == found));
    let number = || value.parse::<i64>().unwrap();
    let sale = row.sale_value.map(|value| value.amount);
    let closed_at = row.closed_at.map(lead_domain::Time::as_millis);
    match name {
        "status" => any(Some(if row.status == LeadStatus::Open { "open" } else { "closed" })),
        "lead_type" => any(Some(&row.lead_type)),
        "group" => any(Some(if row.lead_type == "tablets" { "devices" } else { "connectivity" })),
        "skill" => any(row.skill.as_deref()),
        "channel" => any(row.channel.as_deref()),
        "temperature" => any(row.temperature.as_deref()),
        "grade" => any(row.grade.as_deref()),
        "stage" => any(row.stage.as_deref()),
        "owner" => any(row.owner.as_deref()),
        "close_cause" => any(row.close_cause.as_deref()),
        "customer_id" => any(row.customer_id.as_deref()),
        "email" => any(row.contact.email.as_deref()),
        "phone" => any(row.contact.phone.as_deref()),
        "campaign" => any(row.campaign.as_ref().and_then(|campaign| campaign.name.as_deref())),
        "score_min" => row.score.total >= number(),
        "score_max" => row.score.total <= number(),
        "value_min" => sale.is_some_and(|sale| sale >= number()),
        "value_max" => sale.is_some_and(|sale| sale <= number()),
        "opened_from" => row.opened_at.as_millis() >= millis(value),
        "opened_to" => row.opened_at.as_millis() < millis(value),
        "closed_from" => closed_at.is_some_and(|at| at >= millis(value)),
        "closed_to" => closed_at.is_some_and(|at| at < millis(value)),
        "last_interaction_from" => row.last_interaction_at.as_millis() >= millis(value),
        "last_interaction_to" => row.last_interaction_at.as_millis() < millis(value),
        "q" => value.split(' ').all(|word| searched.contains(word)),
        _ => {
            let found = row.attributes.get(name.strip_prefix("attr.").unwrap());
            any(found.map(|found| found.as_str().map_or_else(|| found.to_string(), ToOwned::to_owned)).as_deref())
        }
    }
}

/// Sort key and id, so that what is smaller comes first; leads without the key come last.
type Rank = (bool, i64, (i128, i128));

fn rank(sort: &str, lead: &LeadRow) -> Rank {
    let key = match sort.trim_start_matches('-') {
        "last_interaction_at" => Some(lead.last_interaction_at.as_millis()),
        "score" => Some(lead.score.total),
        "opened_at" => Some(lead.opened_at.as_millis()),
        "closed_at" => lead.closed_at.map(lead_domain::Time::as_millis),
        _ => lead.sale_value.map(|value| value.amount),
    };
    let turn = if sort.starts_with('-') { -1 } else { 1 };
    let id = (i128::from(lead.id.visitor.0) * i128::from(turn), i128::from(lead.id.ordinal) * i128::from(turn));
    (key.is_none(), key.unwrap_or_default() * turn, id)
}

fn query(sort: &str, filters: &[(&str, &str)], limit: u32) -> LeadQuery {
    let mut query = LeadQuery::new(ACME);
    query.set("sort", sort).unwrap();
    filters.iter().for_each(|(name, value)| query.set(name, value).unwrap());
    query.limit = limit;
    query
}

/// The leads that match, in order, as a plain evaluation finds them.
fn plainly(known: &[Known], sort: &str, filters: &[(&str, &str)]) -> Vec<(Rank, LeadId)> {
    let matching = known.iter().filter(|lead| filters.iter().all(|(name, value)| matches(lead, name, value)));
    let mut found: Vec<_> = matching.map(|lead| (rank(sort, &lead.row), lead.row.id)).collect();
    found.sort_unstable();
    found
}

#[test]
fn every_filter_in_every_order_finds_what_a_plain_evaluation_finds() {
    let world = two_tenants(21, 400);
    let reader = world.followed();
    let known = all(&reader, &ids(&world));
    let mut found_something = 0;
    for filter in FILTERS {
        for sort in SORTS {
            let expected: Vec<LeadId> = plainly(&known, sort, &[filter]).into_iter().map(|(_, id)| id).collect();
            for limit in [3, 500] {
                let mut asked = query(sort, &[filter], limit);
                asked.set("count", "exact").unwrap();
                let mut found = Vec::new();
                loop {
                    let page = reader.leads(&asked).unwrap();
                    assert_eq!(page.count, Some(expected.len() as u64), "{filter:?} {sort}");
                    found.extend(page.items.iter().map(|lead| lead.id));
                    asked.cursor = page.next_cursor;
                    // The count is the same on every page, and not needed to get there.
                    if asked.cursor.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected, "{filter:?} {sort} by {limit}");
            }
            found_something += usize::from(!expected.is_empty());
        }
    }
    assert!(found_something > FILTERS.len() * SORTS.len() / 2, "{found_something}");
}

/// A reader that shares the writer's columns, and one that makes its own.
fn both_readers(world: &World, projector: &Projector<Listing>) -> [ListingReader; 2] {
    [projector.projection().reader().unwrap(), ListingReader::open(world.folder.path()).unwrap()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn each_page_is_the_one_of_a_plain_evaluation_at_its_position(
        seed in 0_u64..6,
        sort in proptest::sample::select(SORTS.to_vec()),
        filters in proptest::sample::subsequence(FILTERS.to_vec(), 0..=2),
        limit in 1_u32..9,
        steps in proptest::collection::vec(0_u64..60, 25),
    ) {
        // Values of one filter, given twice, add up: what a plain evaluation of each would not do.
        let names: Vec<&str> = filters.iter().map(|(name, _)| *name).collect();
        prop_assume!(names.first() != names.get(1) || names.is_empty());
        let world = two_tenants(seed, 250);
        let ids = ids(&world);
        let mut projector = world.projector();
        let mut position = world.log_head() / 3;
        projector.catch_up(LogPosition(position), &mut |_| {}).unwrap();
        let readers = both_readers(&world, &projector);
        let mut cursors = [Some(None), Some(None)];
        let mut last: [Option<Rank>; 2] = [None, None];
        for step in steps {
            let known = all(&readers[0], &ids);
            for ((reader, cursor), last) in readers.iter().zip(&mut cursors).zip(&mut last) {
                let Some(behind) = cursor.take() else { continue };
                let mut asked = query(sort, &filters, limit);
                asked.cursor = behind;
                let page = reader.leads(&asked).unwrap();
                prop_assert_eq!(page.position, LogPosition(position));
                let mut expected = plainly(&known, sort, &filters);
                expected.retain(|(rank, _)| last.is_none_or(|last| *rank > last));
                prop_assert_eq!(page.next_cursor.is_some(), expected.len() > limit as usize);
                expected.truncate(limit as usize);
                let found: Vec<LeadId> = page.items.iter().map(|lead| lead.id).collect();
                prop_assert_eq!(&found, &expected.iter().map(|(_, id)| *id).collect::<Vec<_>>());
                *last = page.items.last().map(|lead| rank(sort, lead)).or(*last);
                *cursor = page.next_cursor.map(Some);
            }
            position = (position + step).min(world.log_head());
            projector.catch_up(LogPosition(position), &mut |_| {}).unwrap();
        }
    }
}

/// Pages through everything again and again until the reader stands at `until`.
fn read_on(open: impl Fn() -> ListingReader, sort: &str, until: LogPosition) -> usize {
    let reader = open();
    let (mut position, mut pages) = (LogPosition::START, 0);
    let mut ask = |query: &LeadQuery| {
        let page = reader.leads(query).unwrap();
        assert!(page.position >= position, "the position went back");
        position = page.position;
        for pair in page.items.windows(2) {
            assert!(rank(sort, &pair[0]) < rank(sort, &pair[1]), "rows of another commit than their keys");
        }
        assert!(
            page.items.iter().all(|lead| lead.status == LeadStatus::Open),
            "rows of another commit than their keys"
        );
        pages += 1;
        page
    };
    let whole = query(sort, &[("status", "open")], 500);
    loop {
        let before = ask(&whole);
        let mut paged = query(sort, &[("status", "open")], 7);
        let mut seen = Vec::new();
        loop {
            let page = ask(&paged);
            seen.extend(page.items.iter().map(|lead| lead.id));
            paged.cursor = page.next_cursor;
            if paged.cursor.is_none() {
                break;
            }
        }
        let after = ask(&whole);
        for lead in before.items {
            // Each event that concerns a lead counts its version up.
            let is_unchanged = after.items.iter().any(|now| now.id == lead.id && now.version == lead.version);
            let times = seen.iter().filter(|id| **id == lead.id).count();
            assert!(!is_unchanged || times == 1, "{} was shown {times} times", lead.id);
        }
        if after.position >= until {
            return pages;
        }
    }
}

#[test]
fn pages_are_of_one_commit_each_while_another_thread_commits() {
    let world = random_world(17, 1_500);
    let head = LogPosition(world.log_head());
    let mut projector = world.projector();
    projector.catch_up(LogPosition(50), &mut |_| {}).unwrap();
    let shared: ListingReaders = projector.projection().readers();
    let folder = world.folder.path().to_owned();
    thread::scope(|scope| {
        let readers = SORTS.into_iter().take(4).map(|sort| {
            let shared = shared.clone();
            scope.spawn(move || read_on(|| shared.open().unwrap(), sort, head))
        });
        let readers: Vec<_> = readers.collect();
        let alone = scope.spawn(move || read_on(|| ListingReader::open(&folder).unwrap(), "opened_at", head));
        for position in (51..head.0).step_by(2).chain([head.0]) {
            projector.catch_up(LogPosition(position), &mut |_| {}).unwrap();
        }
        for reader in readers.into_iter().chain([alone]) {
            assert!(reader.join().unwrap() > 3);
        }
    });
    let mut newest = query("-opened_at", &[], 500);
    newest.set("count", "exact").unwrap();
    let reader = shared.open().unwrap();
    let known = all(&reader, &ids(&world));
    assert_eq!(reader.leads(&newest).unwrap().count, Some(known.len() as u64));
}
