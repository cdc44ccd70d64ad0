//! Time that passes by itself, and time that passed while nobody was there.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use crate::support::{Event, Site, before_now, rfc3339};

const HASTY: &str = r#"
tenant = "acme"
currency = "EUR"
time_zone = "Europe/Berlin"
phone_region = "DE"
lateness = "0s"
close_reasons = ["duplicate"]

[[lead_type]]
name = "quick"
title = "Quick"
active = true
close_after = "1h"
counted_from = "last_interaction"
converts_on = [{ action = "purchase" }]

[[channel]]
name = "web"
title = "Web site"
default_lead_type = "quick"
"#;

#[test]
fn a_lead_closes_at_its_deadline_without_any_traffic() {
    let site = Site::present(HASTY);
    let service = site.serve();
    let client = service.client();
    let happened: DateTime<Utc> = Utc::now() - Duration::hours(1) + Duration::seconds(2);
    let mut stream = client.follow("/v1/stream", None);
    let event = Event::page_at("one", &rfc3339(happened), "device").json();
    let lead = client.record(&event).lead;
    let closed = loop {
        let change = stream.next();
        if change.event == "lead_closed" {
            break change;
        }
    };
    let deadline: DateTime<Utc> = rfc3339(happened + Duration::hours(1)).parse().unwrap();
    let recorded: DateTime<Utc> = closed.data["recorded_at"].as_str().unwrap().parse().unwrap();
    assert!(recorded >= deadline && recorded < deadline + Duration::seconds(20), "{closed:?}");
    let position = closed.data["position"].as_u64().unwrap();
    let shown = client.get(&format!("/v1/leads/{lead}?min_position={position}")).ok(200);
    assert_eq!((&shown["status"], &shown["close_cause"]), (&json!("closed"), &json!("inactivity")));
    let time = |field: &str| shown[field].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    assert_eq!((time("closed_at"), time("deadline")), (deadline, deadline));
}

/// Leads whose deadlines pass while nobody is there.
#[test]
fn leads_that_came_due_while_the_service_was_down_close_with_their_true_times() {
    let mut site = Site::empty();
    site.adopt(HASTY);
    let service = site.serve();
    let client = service.client();
    let mut deadlines = Vec::new();
    for minutes in 1..50 {
        let event = Event::page_at(&format!("e{minutes}"), &before_now(minutes), &format!("d{minutes}"));
        let lead = client.record(&event.json()).lead;
        deadlines.push((lead, before_now(minutes - 60)));
    }
    let open = format!("/v1/leads?status=open&count=exact&min_position={}", client.get("/readyz").position());
    assert_eq!(client.get(&open).ok(200)["count"], 49);
    service.kill();
    site.set_clock(&before_now(-40));
    let service = site.serve();
    let client = service.client();
    // Those of the last 20 minutes are not due yet.
    let mut stream = client.follow("/v1/stream?from=1", None);
    let mut closed = 0;
    while closed < 30 {
        closed += usize::from(stream.next().event == "lead_closed");
    }
    let leads = client.get(&format!("/v1/leads?limit=100&min_position={}", client.get("/readyz").position())).ok(200);
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for lead in leads["items"].as_array().unwrap() {
        let (_, deadline) = deadlines.iter().find(|(id, _)| lead["id"] == **id).unwrap();
        assert_eq!(time(lead["deadline"].as_str().unwrap()), time(deadline));
        let due = time(deadline) <= time(&before_now(-40));
        let expected = if due { Some(time(deadline)) } else { None };
        assert_eq!(lead["closed_at"].as_str().map(time), expected, "{lead}");
    }
    let verified = site_verified(service, &site);
    assert_eq!(verified["whole"], true, "{verified}");
}

fn site_verified(service: crate::support::Running, site: &Site) -> serde_json::Value {
    assert!(service.stop().0.success());
    serde_json::from_str(&site.done(&["verify", "--json"])).unwrap()
}
