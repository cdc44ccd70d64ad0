//! How many events a second one core decodes: `cargo run --release -p feed --example decode_speed`.

use std::hint::black_box;
use std::time::Instant;

use feed::{ClockCorrection, InteractionDecoder, Limits, Origin, TenantRules};
use lead_domain::{Currency, TenantId, Time};

const EVENTS: u64 = 2_000_000;

fn main() {
    let Some(currency) = Currency::new("EUR") else { return };
    let rules = TenantRules {
        id: TenantId(1),
        name: "acme".into(),
        phone_region: "DE".to_owned(),
        blocked_identifiers: vec!["null".to_owned(), "unknown".to_owned()],
        tested_attributes: Vec::new(),
        sealed_tests: Vec::new(),
        currency,
    };
    let mut decoder = InteractionDecoder::new(vec![rules], Some(TenantId(1)), [7; 32], Limits::default());
    let lines: Vec<String> = (0..10_000).map(line).collect();
    let origin = Origin { name: "speed", feed_sequence: 1, tenant: None, clock: ClockCorrection::History };
    let received_at = Time::from_millis(1_800_000_000_000);
    let bytes: usize = lines.iter().map(String::len).sum();
    let started = Instant::now();
    for number in 0..EVENTS {
        if let Some(line) = lines.get((number % 10_000) as usize) {
            black_box(decoder.decode(line.as_bytes(), origin, received_at).is_ok());
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{:.0} events/s of {} bytes on one core", EVENTS as f64 / seconds, bytes / lines.len());
}

fn line(number: u64) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"01J9Z{number:021}","source":"https://shop.example.com/web","type":"leadfold.interaction.v1","time":"2026-03-01T09:30:{:02}.123Z","data":{{"tenant":"acme","visitor_id":"cookie-{:08x}","email":"visitor{}@example.com","channel":"web","action":"product.viewed","product":{{"id":"SKU-{}","category":"tablets"}},"page":{{"url":"https://shop.example.com/p/{}"}},"attributes":{{"ab_test":"B","items":3}}}}}}"#,
        number % 60,
        number % 997,
        number % 997,
        number % 311,
        number % 311
    )
}
