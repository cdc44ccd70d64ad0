//! What requests are about, made anew for each of them, so that every act finds what it needs.

use serde_json::{Value, json};

use crate::support::{Client, Event, Recorded, shop_policy};

/// What a route needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Nothing,
    Record,
    Event,
    Policy,
    Visitor,
    Lead,
    Attributes,
    Closing,
    Sale,
    OtherType,
    Note,
    Owner,
    Closed,
    Sold,
    Opening,
    Orphan,
    Movement,
    Attached,
    Two,
    Merged,
    Erasing,
    Suppressing,
    Suspects,
    Quarantined,
    Repaired,
    Query,
    Question,
    Reason,
}

/// The id in an address, and a body with its media type.
pub(crate) struct Thing {
    pub(crate) id: String,
    pub(crate) body: Option<(&'static str, String)>,
}

/// Makes things of the tenant `acme`.
pub(crate) struct Things {
    client: Client,
    made: u64,
}

impl Things {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, made: 0 }
    }

    pub(crate) fn make(&mut self, kind: Kind) -> Thing {
        let json = |id: String, body: Value| Thing { id, body: Some(("application/json", body.to_string())) };
        match kind {
            Kind::Nothing => Thing { id: String::new(), body: None },
            Kind::Record => Thing { id: self.recorded().position.to_string(), body: None },
            Kind::Event => {
                let event = self.event().with("tenant", "acme").json().to_string();
                Thing { id: String::new(), body: Some(("application/cloudevents+json", event)) }
            }
            Kind::Policy => Thing { id: String::new(), body: Some(("application/toml", shop_policy())) },
            Kind::Visitor => Thing { id: self.recorded().visitor, body: None },
            Kind::Lead => Thing { id: self.lead(), body: None },
            Kind::Attributes => json(self.lead(), json!({ "attributes": { "plan": "pro" } })),
            Kind::Closing => json(self.lead(), json!({ "reason": "duplicate" })),
            Kind::Sale => json(self.lead(), json!({ "value": { "amount": 100, "currency": "EUR" } })),
            Kind::OtherType => json(self.lead(), json!({ "lead_type": "tablets" })),
            Kind::Note => json(self.lead(), json!({ "text": "call back" })),
            Kind::Owner => json(self.lead(), json!({ "owner": "olga" })),
            Kind::Closed => json(self.after("close", &json!({ "reason": "duplicate" })), json!({})),
            Kind::Sold => json(self.after("convert", &json!({})), json!({})),
            Kind::Opening => {
                let visitor = self.recorded().visitor;
                json(String::new(), json!({ "visitor_id": visitor, "lead_type": "tablets" }))
            }
            Kind::Orphan => {
                let event = self.event().with("channel", "kiosk");
                let orphan = self.client.record(&event.json());
                json(orphan.interaction, json!({ "lead_type": "shopping" }))
            }
            Kind::Movement => {
                let Recorded { visitor, interaction, .. } = self.recorded();
                let open = json!({ "visitor_id": visitor, "lead_type": "tablets" });
                let opened = self.client.post("/v1/leads", &open).ok(201);
                json(interaction, json!({ "to_lead_id": opened["lead"]["id"] }))
            }
            Kind::Attached => json(self.recorded().interaction, json!({ "note": "a bot" })),
            Kind::Two => {
                let (one, other) = (self.recorded().visitor, self.recorded().visitor);
                json(one, json!({ "other_visitor_id": other }))
            }
            Kind::Erasing => json(self.recorded().visitor, json!({ "reason": "asked for it" })),
            Kind::Suppressing => {
                let visitor = self.recorded().visitor;
                json(String::new(), json!({ "visitor_id": visitor, "reason": "objects to it" }))
            }
            Kind::Merged => {
                let Thing { id, body } = self.make(Kind::Two);
                let body: Value = serde_json::from_str(&body.expect("a body").1).expect("JSON");
                self.client.post(&format!("/v1/visitors/{id}/merge"), &body).ok(200);
                json(body["other_visitor_id"].as_str().expect("text").to_owned(), json!({}))
            }
            Kind::Suspects => {
                let email = format!("both-{}@example.com", self.made);
                let one = self.customer("one", &email);
                let other = self.customer("other", &email);
                json(one, json!({ "other_visitor_id": other }))
            }
            Kind::Quarantined => Thing { id: self.quarantined(), body: None },
            Kind::Query => json(String::new(), json!({ "query": "select * from leads" })),
            Kind::Question => {
                json(String::new(), json!({ "source": "leads", "measures": ["count"], "dimensions": ["visitor_id"] }))
            }
            Kind::Reason => json(String::new(), json!({ "reason": "a test of ours" })),
            Kind::Repaired => json(self.quarantined(), json!({ "event": self.event().json() })),
        }
    }

    /// An event of somebody new.
    fn event(&mut self) -> Event {
        self.made += 1;
        let number = self.made;
        Event::page(&format!("event-{number}"), &format!("device-{number}"))
            .with("contact", json!({ "name": "acme-secret" }))
    }

    /// An interaction of a new visitor, which opens a lead. The listing has it, too.
    fn recorded(&mut self) -> Recorded {
        let event = self.event();
        let recorded = self.client.record(&event.json());
        self.client.get(&format!("/v1/leads?limit=1&min_position={}", recorded.position)).ok(200);
        recorded
    }

    /// A new visitor with a customer id of its own.
    fn customer(&mut self, name: &str, email: &str) -> String {
        let event = self.event();
        let customer = format!("{name}-{}", self.made);
        self.client.record(&event.with("email", email).with("customer_id", customer).json()).visitor
    }

    fn quarantined(&mut self) -> String {
        let event = self.event().with("visitor_id", "");
        let faulty = self.client.publish(&event.json());
        assert_eq!(faulty["result"], "quarantined", "{faulty}");
        faulty["position"].to_string()
    }

    fn lead(&mut self) -> String {
        self.recorded().lead
    }

    /// A lead after an act.
    fn after(&mut self, act: &str, body: &Value) -> String {
        let lead = self.lead();
        self.client.post(&format!("/v1/leads/{lead}/{act}"), body).ok(200);
        lead
    }
}
