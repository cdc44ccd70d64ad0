//! What filters and the full text find.

use lead_domain::Command;
use listing::{LeadQuery, ListingError};
use proto_events::stored::Value;

use crate::world::{ACME, World, found, lead_id, touch};

fn some_leads() -> World {
    let mut world = World::new();
    world.happens(
        touch(1)
            .cookie("a")
            .customer("K-100")
            .email("anna.schmidt@example.com")
            .phone("+4915112345678")
            .named("Anna Schmidt")
            .campaign("spring")
            .attribute("plan", Value::Text("pro".into()))
            .attribute("seats", Value::Integer(12))
            .attribute("vip", Value::Bool(true))
            .attribute("rate", Value::Decimal("1.50".into())),
    );
    world.happens(touch(2).cookie("b").email("hannah_100%@example.org").named("Jörg Äther").channel("chat"));
    world.happens(touch(3).cookie("c").skill("sales").purchase(5_000, *b"EUR", None));
    world.happens(touch(4).cookie("d"));
    world.commanded(5, Command::AssignLead { lead: lead_id(4, 1), owner: Some("olga".into()) });
    world
}

#[test]
fn the_full_text_finds_parts_of_words_addresses_and_numbers() {
    let reader = some_leads().followed();
    for (words, expected) in [
        ("anna", vec!["V2-1", "V1-1"]),
        ("ANNA", vec!["V2-1", "V1-1"]),
        ("schmidt@exam", vec!["V1-1"]),
        ("chmid", vec!["V1-1"]),
        ("anna schmidt", vec!["V1-1"]),
        ("0151 1234", vec!["V1-1"]),
        ("+49 151", vec!["V1-1"]),
        ("5678", vec!["V1-1"]),
        ("k-100", vec!["V1-1"]),
        ("äTHER", vec!["V2-1"]),
        ("jö", vec!["V2-1"]),
        ("hannah_100%", vec!["V2-1"]),
        ("hannahX100", vec![]),
        ("h_nnah", vec![]),
        ("%%%", vec![]),
        ("nobody", vec![]),
        ("\"quoted\" OR *", vec![]),
    ] {
        assert_eq!(found(&reader, &[("q", words)]), expected, "{words}");
    }
}

#[test]
fn every_filter_finds_its_leads() {
    let reader = some_leads().followed();
    for (name, value, expected) in [
        ("status", "open", vec!["V4-1", "V2-1", "V1-1"]),
        ("status", "closed", vec!["V3-1"]),
        ("status", "open,closed", vec!["V4-1", "V3-1", "V2-1", "V1-1"]),
        ("lead_type", "broadband", vec!["V3-1"]),
        ("lead_type", "broadband,tablets", vec!["V4-1", "V3-1", "V2-1", "V1-1"]),
        ("group", "connectivity", vec!["V3-1"]),
        ("skill", "sales", vec!["V3-1"]),
        ("channel", "chat", vec!["V2-1"]),
        ("temperature", "hot", vec![]),
        ("stage", "research", vec![]),
        ("owner", "olga", vec!["V4-1"]),
        ("close_cause", "conversion,operator", vec!["V3-1"]),
        ("customer_id", "K-100", vec!["V1-1"]),
        ("email", "Anna.Schmidt@example.com", vec!["V1-1"]),
        ("phone", "+49 1511 2345678", vec!["V1-1"]),
        ("campaign", "spring", vec!["V1-1"]),
        ("score_min", "1", vec![]),
        ("score_max", "0", vec!["V4-1", "V3-1", "V2-1", "V1-1"]),
        ("value_min", "5000", vec!["V3-1"]),
        ("value_max", "4999", vec![]),
        ("value_max", "5000", vec!["V3-1"]),
        ("opened_from", "1970-01-01T03:00:00Z", vec!["V4-1", "V3-1"]),
        ("opened_to", "1970-01-01T03:00:00Z", vec!["V2-1", "V1-1"]),
        ("closed_from", "1970-01-01", vec!["V3-1"]),
        ("closed_to", "1970-01-01T03:00:00Z", vec![]),
        ("last_interaction_from", "1970-01-01T05:00:00+01:00", vec!["V4-1"]),
        ("last_interaction_to", "1970-01-01T02:00:00Z", vec!["V1-1"]),
        ("attr.plan", "free,pro", vec!["V1-1"]),
        ("attr.seats", "12", vec!["V1-1"]),
        ("attr.vip", "true", vec!["V1-1"]),
        ("attr.rate", "1.50", vec!["V1-1"]),
        ("attr.rate", "1.5", vec![]),
        ("attr.none", "1", vec![]),
    ] {
        assert_eq!(found(&reader, &[(name, value)]), expected, "{name}={value}");
        let mut counted = LeadQuery::new(ACME);
        counted.set(name, value).unwrap();
        counted.set("count", "exact").unwrap();
        assert_eq!(reader.leads(&counted).unwrap().count, Some(expected.len() as u64), "{name}={value}");
    }
    assert_eq!(found(&reader, &[("status", "open"), ("channel", "web"), ("q", "anna")]), ["V1-1"]);
}

#[test]
fn a_changed_contact_is_found_by_its_new_values_only() {
    let mut world = some_leads();
    let mut projector = world.projector();
    let all = event_log::LogPosition(u64::MAX);
    projector.catch_up(all, &mut |_| {}).unwrap();
    world.happens(touch(6).cookie("a").email("anna.meier@example.com").named("Anna Meier"));
    projector.catch_up(all, &mut |_| {}).unwrap();
    let reader = projector.projection().reader().unwrap();
    assert_eq!(found(&reader, &[("q", "meier")]), ["V1-1"]);
    assert_eq!(found(&reader, &[("q", "schmidt")]), Vec::<String>::new());
    assert_eq!(found(&reader, &[("email", "anna.meier@example.com")]), ["V1-1"]);
}

#[test]
fn a_query_that_makes_no_sense_names_its_field() {
    let world = some_leads();
    let reader = world.followed();
    let mut query = LeadQuery::new(ACME);
    for limit in [0, 501] {
        query.limit = limit;
        let error = reader.leads(&query).unwrap_err();
        assert!(matches!(&error, ListingError::Query(query) if query.field() == "limit"));
        assert_eq!(error.to_string(), "limit must be 1 to 500");
    }
    assert_eq!(query.set("limit", "many").unwrap_err().to_string(), "limit must be 1 to 500");
    assert_eq!(query.set("sort", "colour").unwrap_err().field(), "sort");
    assert_eq!(query.set("count", "roughly").unwrap_err().field(), "count");
}
