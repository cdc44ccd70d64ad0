//! Pages: every row once, in order, whatever the page size, and whatever comes in between.

use event_log::LogPosition;
use lead_domain::TenantId;
use listing::{LeadQuery, LeadRow, ListingError, ListingReader, OrphanQuery, QueryError};
use proptest::prelude::*;

use crate::agreement::random_world;
use crate::world::{ACME, World, touch};

const SORTS: [&str; 10] = [
    "-last_interaction_at",
    "last_interaction_at",
    "-score",
    "score",
    "-opened_at",
    "opened_at",
    "-closed_at",
    "closed_at",
    "-value",
    "value",
];
const FILTERS: [&[(&str, &str)]; 7] = [
    &[],
    &[("status", "open")],
    &[("status", "closed")],
    &[("lead_type", "tablets")],
    &[("channel", "web,chat"), ("last_interaction_from", "1970-01-05")],
    &[("q", "example")],
    &[("value_min", "1")],
];

/// Sort key and id: missing keys last, whatever the direction.
fn rank(sort: &str, lead: &LeadRow) -> (bool, i64, (u64, u32)) {
    let key = match sort.trim_start_matches('-') {
        "last_interaction_at" => Some(lead.last_interaction_at.as_millis()),
        "score" => Some(lead.score.total),
        "opened_at" => Some(lead.opened_at.as_millis()),
        "closed_at" => lead.closed_at.map(lead_domain::Time::as_millis),
        _ => lead.sale_value.map(|value| value.amount),
    };
    (key.is_none(), key.unwrap_or_default(), (lead.id.visitor.0, lead.id.ordinal))
}

fn in_order(sort: &str, one: &LeadRow, next: &LeadRow) -> bool {
    let (one, next) = (rank(sort, one), rank(sort, next));
    if one.0 != next.0 {
        return !one.0;
    }
    if sort.starts_with('-') { (one.1, one.2) > (next.1, next.2) } else { (one.1, one.2) < (next.1, next.2) }
}

fn query(sort: &str, filters: &[(&str, &str)], limit: u32) -> LeadQuery {
    let mut query = LeadQuery::new(ACME);
    query.set("sort", sort).unwrap();
    for (name, value) in filters {
        query.set(name, value).unwrap();
    }
    query.limit = limit;
    query
}

fn walk(reader: &ListingReader, mut query: LeadQuery) -> Vec<LeadRow> {
    let mut rows = Vec::new();
    loop {
        let page = reader.leads(&query).unwrap();
        assert!(page.items.len() <= query.limit as usize);
        assert!(page.next_cursor.is_none() || page.items.len() == query.limit as usize, "only the last one is short");
        rows.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return rows;
        }
    }
}

#[test]
fn every_sort_and_filter_pages_through_every_row_once_and_in_order() {
    let reader = random_world(11, 500).followed();
    for filters in FILTERS {
        for sort in SORTS {
            let whole = walk(&reader, query(sort, filters, 500));
            assert!(whole.len() > 2, "{filters:?} matches too little to page");
            for pair in whole.windows(2) {
                assert!(in_order(sort, &pair[0], &pair[1]), "{sort} {filters:?}: {} {}", pair[0].id, pair[1].id);
            }
            for limit in [1, 2, 7, 50] {
                assert_eq!(walk(&reader, query(sort, filters, limit)), whole, "{sort} {filters:?} by {limit}");
            }
            let mut counted = query(sort, filters, 1);
            counted.set("count", "exact").unwrap();
            assert_eq!(reader.leads(&counted).unwrap().count, Some(whole.len() as u64));
        }
    }
}

fn crowd(people: i64) -> World {
    let mut world = World::new();
    for person in 0..people {
        world.happens(touch(person % 13).cookie(&format!("person {person}")));
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn rows_that_keep_their_key_are_neither_skipped_nor_repeated_while_others_come_and_change(
        sort in proptest::sample::select(SORTS.to_vec()),
        limit in 1_u32..9,
        between in proptest::collection::vec((0_i64..40, 0_i64..60), 1..12),
    ) {
        let mut world = crowd(30);
        let mut projector = world.projector();
        projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
        let reader = projector.projection().reader().unwrap();
        let before = walk(&reader, query(sort, &[], 500));
        let (mut request, mut seen) = (query(sort, &[], limit), Vec::new());
        let mut between = between.into_iter();
        loop {
            let page = reader.leads(&request).unwrap();
            seen.extend(page.items);
            request.cursor = page.next_cursor;
            if request.cursor.is_none() {
                break;
            }
            if let Some((person, hour)) = between.next() {
                world.happens(touch(hour).cookie(&format!("person {person}")));
                projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
            }
        }
        let after = walk(&reader, query(sort, &[], 500));
        for lead in &before {
            let unchanged = after.iter().any(|now| now.id == lead.id && rank(sort, now) == rank(sort, lead));
            let times = seen.iter().filter(|row| row.id == lead.id).count();
            prop_assert!(!unchanged || times == 1, "{} was shown {times} times", lead.id);
        }
    }
}

#[test]
fn orphans_page_too() {
    let mut world = World::new();
    for number in 0..23 {
        world.happens(touch(number % 5).cookie("c").channel(if number % 2 == 0 { "fax" } else { "pigeon" }));
    }
    let reader = world.followed();
    let mut query = OrphanQuery::new(ACME);
    query.set("channel", "fax").unwrap();
    query.set("limit", "5").unwrap();
    query.set("count", "exact").unwrap();
    let mut seen = Vec::new();
    loop {
        let page = reader.orphans(&query).unwrap();
        assert_eq!(page.count, Some(12));
        seen.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 12);
    assert!(seen.windows(2).all(|pair| (pair[0].occurred_at, pair[0].id) > (pair[1].occurred_at, pair[1].id)));
}

#[test]
fn a_cursor_serves_its_own_query_only() {
    let reader = crowd(10).followed();
    let first = query("-opened_at", &[("status", "open")], 3);
    let cursor = reader.leads(&first).unwrap().next_cursor.unwrap();
    let refused = |mut query: LeadQuery, cursor: &str| {
        query.cursor = Some(cursor.to_owned());
        match reader.leads(&query) {
            Err(ListingError::Query(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(query("opened_at", &[("status", "open")], 3), &cursor), QueryError::CursorOfOtherQuery);
    assert_eq!(refused(query("-opened_at", &[("status", "closed")], 3), &cursor), QueryError::CursorOfOtherQuery);
    assert_eq!(refused(query("-opened_at", &[], 3), &cursor), QueryError::CursorOfOtherQuery);
    let mut other = first.clone();
    other.tenant = TenantId(2);
    assert_eq!(refused(other, &cursor), QueryError::CursorOfOtherQuery);
    let mut tampered = cursor.clone().into_bytes();
    tampered[30] = if tampered[30] == b'A' { b'B' } else { b'A' };
    assert_eq!(refused(first.clone(), std::str::from_utf8(&tampered).unwrap()), QueryError::CursorMalformed);
    let mut next = query("-opened_at", &[("status", "open")], 500);
    next.cursor = Some(cursor);
    assert_eq!(reader.leads(&next).unwrap().items.len(), 7, "another page size is the same query");
}

#[test]
fn a_cursor_from_before_a_rebuild_waits_for_the_model() {
    let world = crowd(10);
    let mut first = query("-opened_at", &[], 3);
    first.cursor = world.followed().leads(&first).unwrap().next_cursor;
    std::fs::remove_dir_all(world.folder.path().join("projections")).unwrap();
    let mut projector = world.projector();
    projector.catch_up(LogPosition(5), &mut |_| {}).unwrap();
    let reader = projector.projection().reader().unwrap();
    let Err(ListingError::Query(error)) = reader.leads(&first) else { panic!("the cursor is ahead") };
    assert_eq!(error.code(), "cursor_ahead");
    projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert_eq!(reader.leads(&first).unwrap().items.len(), 3);
}
