//! What an event looks like on its way.

use std::sync::Arc;

use event_log::Header;
use lead_domain::event::OrphanReason;
use lead_domain::{Event, InteractionId, LeadId, Time, VisitorId};
use publisher::outgoing_events;
use serde_json::{Value, json};

use crate::story::{OCCURRED_AT, header, visitor};

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn an_event_is_a_cloud_event_with_its_place_in_the_log() {
    let lead = LeadId { visitor: VisitorId(42), ordinal: 3 };
    let opened = Event::LeadOpened {
        lead,
        visitor: lead.visitor,
        lead_type: "loan".into(),
        at: Time::from_millis(OCCURRED_AT),
        customer: None,
        deadline: Time::from_millis(OCCURRED_AT + 86_400_000),
    };
    let (tenant, header, events) = (Arc::from("shop"), header(1, 1042), [visitor(42), opened]);
    let outgoing: Vec<_> = outgoing_events(&tenant, &header, &events).collect();
    assert_eq!(outgoing[0].id, "1042-0");
    assert_eq!(json_of(&outgoing[0].body)["subject"], "V42");
    let event = &outgoing[1];
    assert_eq!(
        json_of(&event.body),
        json!({
            "specversion": "1.0",
            "id": "1042-1",
            "source": "leadfold/shop",
            "type": "leadfold.lead_opened.v1",
            "subject": "V42-3",
            "time": "2023-11-14T22:13:20Z",
            "recordedtime": "2023-11-14T22:13:21.250Z",
            "leadfoldposition": "1042",
            "datacontenttype": "application/json",
            "data": {
                "event": "lead_opened",
                "lead_id": "V42-3",
                "visitor_id": "V42",
                "lead_type": "loan",
                "at": "2023-11-14T22:13:20Z",
                "customer_known": false,
                "deadline": "2023-11-15T22:13:20Z",
            },
        })
    );
    assert_eq!(event.nats_subject(), "leadfold.out.shop.lead_opened");
    assert_eq!(event.nats_message_id(), "leadfold.out.1042-1");
    assert_eq!(outgoing, outgoing_events(&tenant, &header, &events).collect::<Vec<_>>(), "each time the same");
}

#[test]
fn an_orphans_subject_is_the_visitor_of_its_record_if_there_is_one() {
    let orphaned = [Event::InteractionOrphaned { interaction: InteractionId(7), reason: OrphanReason::TooManyLeads }];
    let tenant = Arc::from("shop");
    for (visitor, subject) in [(9, json!("V9")), (0, Value::Null)] {
        let header = Header { visitor, ..header(1, 7) };
        let event = outgoing_events(&tenant, &header, &orphaned).next().unwrap();
        assert_eq!(json_of(&event.body)["subject"], subject);
    }
}
