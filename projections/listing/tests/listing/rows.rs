//! What each event leaves in the rows.

use lead_domain::command::Adoption;
use lead_domain::event::AfterUnmerge;
use lead_domain::{Command, Currency, Money, TenantId, VisitorId};
use listing::{Counts, LeadStatus, OrphanQuery};
use proto_events::Personal;
use proto_events::stored::{Attribute, Value};

use crate::world::{ACME, World, found, hours, lead, lead_id, touch};

fn euros(amount: i64) -> Option<Money> {
    Some(Money { amount, currency: Currency::new("EUR").unwrap() })
}

#[test]
fn a_lead_looks_the_same_everywhere() {
    let mut world = World::new();
    world.happens(
        touch(1)
            .cookie("c1")
            .customer("K-77")
            .email("Anna@Example.com")
            .phone("+4930123456")
            .named("Anna Schmidt")
            .campaign("spring")
            .device("Firefox", "mobile")
            .product("Tab 9", 19_900)
            .attribute("plan", Value::Text("pro".into())),
    );
    world.happens(touch(2).cookie("c1").purchase(12_900, *b"EUR", Some(5)));
    let personal = Personal { note: Some("call back".into()), ..Personal::default() };
    world.asked(3, Command::AddNote { lead: lead_id(1, 1) }, personal).unwrap();
    let reader = world.followed();
    let expected = serde_json::json!({
        "id": "V1-1", "visitor_id": "V1", "customer_id": "K-77", "lead_type": "tablets", "status": "closed",
        "close_cause": "conversion", "close_reason": null,
        "opened_at": "1970-01-01T01:00:00Z", "closed_at": "1970-01-01T02:00:00Z", "deadline": "1970-01-03T02:00:00Z",
        "first_interaction_at": "1970-01-01T01:00:00Z", "last_interaction_at": "1970-01-01T02:00:00Z",
        "interactions": 2, "skill": null, "channel": "web",
        "campaign": {"name": "spring", "source": null, "medium": null}, "stage": null, "temperature": "cold", "grade": "C3",
        "score": {"total": 0, "fit": 0, "engagement": 0, "by_category": {}},
        "sale_value": {"amount": 12_900, "currency": "EUR"}, "rgus": 2, "conversions": 1, "owner": null,
        "contact": {"name": "Anna Schmidt", "email": "anna@example.com", "phone": "+4930123456", "country": null,
                    "locale": null},
        "device": {"browser": "Firefox", "type": "mobile", "os": null},
        "last_product": {"id": null, "name": "Tab 9", "category": null, "price": {"amount": 19_900, "currency": "EUR"}},
        "attributes": {"plan": "pro"}, "notes": [{"at": "1970-01-01T03:00:00Z", "text": "call back"}], "version": 6
    });
    assert_eq!(serde_json::to_value(lead(&reader, 1, 1)).unwrap(), expected);
}

#[test]
fn the_latest_interaction_shows_its_device_product_and_attributes_however_late_others_arrive() {
    let mut world = World::new();
    world.happens(touch(10).cookie("c").device("Firefox", "desktop").attribute("plan", Value::Text("free".into())));
    world.happens(touch(20).cookie("c").device("Safari", "mobile").product("Tab 9", 1).campaign("late"));
    world
        .happens(touch(15).cookie("c").device("Opera", "tablet").product("Tab 1", 2).attribute("n", Value::Integer(1)));
    let attributes = vec![Attribute { name: "plan".into(), value: Value::Text("pro".into()) }];
    let set = Command::SetAttributes { lead: lead_id(1, 1), names: vec!["plan".into()] };
    world.asked(21, set, Personal { attributes, ..Personal::default() }).unwrap();
    let lead = lead(&world.followed(), 1, 1);
    assert_eq!(lead.device.unwrap().browser.as_deref(), Some("Safari"));
    assert_eq!(lead.last_product.unwrap().name.as_deref(), Some("Tab 9"));
    assert_eq!(lead.campaign, None, "the campaign is that of the opening interaction");
    assert_eq!(serde_json::Value::Object(lead.attributes), serde_json::json!({"plan": "pro", "n": 1}));
    assert_eq!((lead.first_interaction_at, lead.last_interaction_at), (hours(10), hours(20)));
}

#[test]
fn sales_add_up_by_currency_and_withdrawn_ones_leave() {
    let mut world = World::new();
    world.happens(touch(1).cookie("c").purchase(10_000, *b"EUR", Some(1)));
    world.commanded(2, Command::ReopenLead { lead: lead_id(1, 1) });
    world.happens(touch(3).cookie("c").purchase(500, *b"USD", Some(2)));
    let row = lead(&world.followed(), 1, 1);
    assert_eq!((row.sale_value, row.conversions, row.rgus), (euros(10_000), 2, 4));
    world.commanded(4, Command::WithdrawConversion { lead: lead_id(1, 1), order: Some(lead_domain::OrderKey(1)) });
    let row = lead(&world.followed(), 1, 1);
    assert_eq!(row.sale_value.map(|value| value.amount), Some(500), "what is left is in dollars");
    assert_eq!((row.conversions, row.rgus, row.status), (1, 2, LeadStatus::Closed));
    world.commanded(5, Command::WithdrawConversion { lead: lead_id(1, 1), order: None });
    let row = lead(&world.followed(), 1, 1);
    assert_eq!((row.sale_value, row.conversions, row.rgus, row.status), (None, 0, 0, LeadStatus::Open));
}

#[test]
fn operators_close_reopen_assign_and_change_types() {
    let mut world = World::new();
    world.happens(touch(1).cookie("c").skill("sales"));
    let id = lead_id(1, 1);
    world.commanded(2, Command::AssignLead { lead: id, owner: Some("olga".into()) });
    world.commanded(3, Command::ChangeLeadType { lead: id, lead_type: "tablets".into() });
    let personal = Personal { note: Some("bought elsewhere".into()), ..Personal::default() };
    world.asked(4, Command::CloseLead { lead: id, reason: "not_interested".into() }, personal).unwrap();
    let reader = world.followed();
    let row = lead(&reader, 1, 1);
    assert_eq!(row.notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>(), ["bought elsewhere"]);
    assert_eq!(row.close_reason.as_deref(), Some("not_interested"));
    assert_eq!(
        (row.owner.as_deref(), row.lead_type.as_str(), row.closed_at),
        (Some("olga"), "tablets", Some(hours(4)))
    );
    assert_eq!(row.skill.as_deref(), Some("sales"));
    assert_eq!(found(&reader, &[("owner", "olga"), ("close_cause", "operator"), ("group", "devices")]), ["V1-1"]);
    world.commanded(5, Command::ReopenLead { lead: id });
    world.commanded(6, Command::AssignLead { lead: id, owner: None });
    let row = lead(&world.followed(), 1, 1);
    assert_eq!((row.status, row.close_cause, row.close_reason, row.closed_at), (LeadStatus::Open, None, None, None));
    assert_eq!(row.owner, None);
}

#[test]
fn a_tick_closes_what_timed_out_and_counts_say_so() {
    let mut world = World::new();
    world.happens(touch(1).cookie("a"));
    world.happens(touch(2).cookie("b").purchase(1, *b"EUR", None));
    world.happens(touch(90).cookie("c"));
    world.happens(touch(91).cookie("d").channel("fax"));
    world.ticks(100);
    let reader = world.followed();
    let closed = [("conversion".to_owned(), 1), ("inactivity".to_owned(), 1)].into();
    assert_eq!(reader.counts(ACME).unwrap().0, Counts { opened: 3, open: 1, closed, orphans: 1 });
    assert_eq!(lead(&reader, 1, 1).closed_at, Some(hours(49)));
}

#[test]
fn an_adopted_orphan_leaves_the_orphans_and_shows_in_its_lead() {
    let mut world = World::new();
    let orphan = world.happens(touch(5).cookie("c").skill("support").product("Tab 9", 7).device("Edge", "desktop"));
    let second = world.happens(touch(6).cookie("c").channel("fax").attribute("floor", Value::Integer(3)));
    let reader = world.followed();
    let orphans = reader.orphans(&OrphanQuery::new(ACME)).unwrap().items;
    assert_eq!(orphans.iter().map(|orphan| orphan.id).collect::<Vec<_>>(), [second, orphan], "the latest first");
    assert_eq!(orphans[1].reason, "no_default_lead_type");
    assert_eq!(orphans[1].product.as_ref().unwrap().name.as_deref(), Some("Tab 9"));
    world.adopted(7, orphan, Adoption::NewLead("tablets".into()));
    world.adopted(8, second, Adoption::Lead(lead_id(1, 1)));
    let reader = world.followed();
    assert_eq!(reader.orphans(&OrphanQuery::new(ACME)).unwrap().items, []);
    let row = lead(&reader, 1, 1);
    assert_eq!((row.skill.as_deref(), row.interactions, row.opened_at), (Some("support"), 2, hours(5)));
    assert_eq!(row.device.unwrap().browser.as_deref(), Some("Edge"));
    assert_eq!(row.attributes["floor"], 3);
}

#[test]
fn a_merged_visitors_leads_show_the_survivor_and_an_unmerge_gives_them_back() {
    let mut world = World::new();
    world.happens(touch(1).cookie("phone").email("old@example.com").named("A. Schmidt"));
    world.happens(touch(2).cookie("laptop").email("new@example.com").channel("chat"));
    let before = world.followed().visitor(ACME, VisitorId(2)).unwrap().0.unwrap();
    world.happens(touch(3).cookie("laptop").email("old@example.com"));
    let reader = world.followed();
    let moved = lead(&reader, 2, 1);
    assert_eq!(moved.visitor_id, VisitorId(1));
    assert_eq!(moved.contact.name.as_deref(), Some("A. Schmidt"));
    assert_eq!(moved.contact.email.as_deref(), Some("old@example.com"), "given at hour 3, after the new one");
    let survivor = reader.visitor(ACME, VisitorId(1)).unwrap().0.unwrap();
    assert_eq!(survivor.members, [VisitorId(2)]);
    assert_eq!(survivor.identifiers.len(), 4);
    assert_eq!(survivor.leads.len(), 2);
    let absorbed = reader.visitor(ACME, VisitorId(2)).unwrap().0.unwrap();
    assert_eq!(absorbed.merged_into, Some(VisitorId(1)));
    let unmerge = Command::UnmergeVisitor { visitor: VisitorId(2), afterwards: AfterUnmerge::KeepApart };
    world.commanded(4, unmerge);
    let reader = world.followed();
    let restored = reader.visitor(ACME, VisitorId(2)).unwrap().0.unwrap();
    assert_eq!(restored.contact, before.contact);
    assert_eq!(restored.identifiers, before.identifiers);
    assert_eq!(restored.suspected_duplicates[0].visitor_id, VisitorId(1));
    assert!(restored.suspected_duplicates[0].settled);
    assert_eq!(lead(&reader, 2, 1).visitor_id, VisitorId(2));
    assert_eq!(lead(&reader, 1, 1).visitor_id, VisitorId(1));
}

#[test]
fn clashing_customers_are_suspected_and_a_device_follows_its_person() {
    let mut world = World::new();
    world.happens(touch(1).cookie("kiosk").customer("K-1"));
    world.happens(touch(2).cookie("kiosk").customer("K-2"));
    let reader = world.followed();
    let second = reader.visitor(ACME, VisitorId(2)).unwrap().0.unwrap();
    assert_eq!(second.suspected_duplicates[0].shared.as_deref(), Some("visitor_id"));
    assert!(!second.suspected_duplicates[0].settled);
    let kinds = |visitor: u64| {
        let visitor = reader.visitor(ACME, VisitorId(visitor)).unwrap().0.unwrap();
        visitor.identifiers.iter().map(|known| known.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!((kinds(1), kinds(2)), (vec!["K-1".to_owned()], vec!["K-2".to_owned(), "kiosk".to_owned()]));
    world.commanded(3, Command::SettleDuplicate { one: VisitorId(1), other: VisitorId(2) });
    let first = world.followed().visitor(ACME, VisitorId(1)).unwrap().0.unwrap();
    assert!(first.suspected_duplicates[0].settled);
}

#[test]
fn an_erased_visitors_records_fold_without_what_was_sealed() {
    let mut world = World::new();
    world.happens(touch(1).cookie("c").email("anna@example.com").customer("K-9").named("Anna"));
    world.vault.destroy(1).unwrap();
    let reader = world.followed();
    let row = lead(&reader, 1, 1);
    assert_eq!((row.contact, row.customer_id), (listing::ContactRow::default(), None));
    assert_eq!(row.interactions, 1);
    assert!(!reader.canonical_dump().unwrap().to_lowercase().contains("anna"));
}

#[test]
fn tenants_see_nothing_of_each_other() {
    let other = TenantId(2);
    let mut world = World::new();
    world.adopt("globex", other);
    world.happens(touch(1).cookie("a").email("anna@example.com"));
    world.happens_to(other, touch(2).cookie("b").email("berta@example.com"));
    let reader = world.followed();
    assert_eq!(reader.tenant("globex").unwrap(), Some(other));
    assert_eq!(found(&reader, &[]), ["V1-1"]);
    assert_eq!(found(&reader, &[("q", "berta")]), Vec::<String>::new());
    assert!(reader.lead(ACME, lead_id(2, 1)).unwrap().0.is_none());
    assert!(reader.visitor(ACME, VisitorId(2)).unwrap().0.is_none());
    assert!(reader.lead(other, lead_id(2, 1)).unwrap().0.is_some());
}
