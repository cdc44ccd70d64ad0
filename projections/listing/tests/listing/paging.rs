//! Pages: every row once, in order, whatever the page size, and whatever comes in between.

use event_log::LogPosition;
use lead_domain::event::AfterUnmerge;
use lead_domain::{Command, TenantId, VisitorId};
use listing::{
    DuplicatePairRow, DuplicateQuery, LeadQuery, LeadRow, ListingError, ListingReader, OrphanQuery, QueryError,
};
use proptest::prelude::*;

use crate::histories::random_world;
use crate::world::{ACME, World, touch};

pub(crate) const SORTS: [&str; 10] = [
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

/// All pairs, by pages of `limit`.
fn pairs(reader: &ListingReader, settled: &str, limit: u32) -> Vec<DuplicatePairRow> {
    let mut query = DuplicateQuery::new(ACME);
    query.set("settled", settled).unwrap();
    query.set("count", "exact").unwrap();
    query.limit = limit;
    let (mut rows, mut count) = (Vec::new(), None);
    loop {
        let page = reader.duplicates(&query).unwrap();
        assert!(page.items.len() <= limit as usize);
        assert!(count.is_none() || count == page.count);
        count = page.count;
        rows.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            assert_eq!(count, Some(rows.len() as u64));
            return rows;
        }
    }
}

#[test]
fn suspected_duplicates_page_and_agree_with_what_each_visitor_shows() {
    let mut settled_in_all = 0;
    for seed in [3, 11, 27] {
        let world = random_world(seed, 500);
        let reader = world.followed();
        let mut shown = Vec::new();
        for number in 1..=world.shelf.last_visitor().0 {
            let visitor = reader.visitor(ACME, VisitorId(number)).unwrap().0.unwrap();
            // Who was merged into another one shows what was its own; the survivor shows all.
            let others = visitor.suspected_duplicates.iter().filter(|_| visitor.merged_into.is_none());
            let older = others.filter(|other| visitor.id < other.visitor_id);
            shown.extend(older.map(|other| (visitor.id, other.visitor_id, other.settled)));
        }
        let mut listed = Vec::new();
        for settled in ["false", "true"] {
            let whole = pairs(&reader, settled, 500);
            assert!(whole.iter().all(|row| row.settled.to_string() == settled));
            for limit in [1, 2, 7] {
                assert_eq!(pairs(&reader, settled, limit), whole, "seed {seed}, settled={settled} by {limit}");
            }
            listed.extend(whole.iter().map(|row| (row.visitor_id, row.other_visitor_id, row.settled)));
        }
        settled_in_all += listed.iter().filter(|(_, _, settled)| *settled).count();
        listed.sort_unstable();
        assert_eq!(listed, shown, "seed {seed}");
        assert!(listed.len() > 2, "seed {seed} has too few");
    }
    assert!(settled_in_all > 0);
}

#[test]
fn a_suspicion_follows_merges_and_is_one_row_however_often_it_is_stored() {
    let row = |one: u64, other: u64, kind: Option<&str>, settled: bool| DuplicatePairRow {
        visitor_id: VisitorId(one),
        other_visitor_id: VisitorId(other),
        kind: kind.map(ToOwned::to_owned),
        settled,
    };
    let listed = |world: &World| {
        let reader = world.followed();
        (pairs(&reader, "false", 50), pairs(&reader, "true", 50))
    };
    let (one, two, three, four) = (VisitorId(1), VisitorId(2), VisitorId(3), VisitorId(4));
    let mut world = World::new();
    world.happens(touch(1).cookie("first"));
    world.happens(touch(2).cookie("kiosk").customer("K-1"));
    world.happens(touch(3).cookie("kiosk").customer("K-2"));
    let kind = Some("visitor_id");
    assert_eq!(listed(&world), (vec![row(2, 3, kind, false)], vec![]));
    world.commanded(4, Command::MergeVisitors { one, other: two });
    assert_eq!(listed(&world), (vec![row(1, 3, kind, false)], vec![]));
    world.commanded(5, Command::SettleDuplicate { one: three, other: one });
    assert_eq!(listed(&world), (vec![], vec![row(1, 3, kind, true)]), "it is stored twice now");
    world.commanded(6, Command::UnmergeVisitor { visitor: two, afterwards: AfterUnmerge::MayMergeAgain });
    assert_eq!(listed(&world), (vec![row(2, 3, kind, false)], vec![row(1, 3, None, true)]));
    world.happens(touch(7).cookie("last"));
    world.commanded(8, Command::MergeVisitors { one, other: four });
    world.commanded(9, Command::UnmergeVisitor { visitor: four, afterwards: AfterUnmerge::KeepApart });
    assert_eq!(listed(&world).1, [row(1, 3, None, true), row(1, 4, None, true)]);
    let reader = world.followed();
    let mut query = DuplicateQuery { settled: true, limit: 1, ..DuplicateQuery::new(ACME) };
    query.cursor = reader.duplicates(&query).unwrap().next_cursor;
    assert_eq!(reader.duplicates(&query).unwrap().items, [row(1, 4, None, true)]);
    query.settled = false;
    let refused = reader.duplicates(&query).unwrap_err();
    assert!(matches!(refused, ListingError::Query(QueryError::CursorOfOtherQuery)), "{refused:?}");
    assert_eq!(reader.duplicates(&DuplicateQuery::new(TenantId(2))).unwrap().items, []);
    world.commanded(10, Command::MergeVisitors { one, other: four });
    assert_eq!(listed(&world).1, [row(1, 3, None, true)], "who merged after all is nobody's duplicate");
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
