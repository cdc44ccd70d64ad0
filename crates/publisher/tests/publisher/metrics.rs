//! What a delivery counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use event_log::LogPosition;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use publisher::Retry;
use tokio_util::sync::CancellationToken;

use crate::story::{Notebook, Place, Then, shop_log};

/// Values by metric and destination.
#[derive(Clone, Default)]
struct Values(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Values {
    fn value(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{} {}", key.name(), labels.join(","));
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }
}

impl Recorder for Values {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn events_failures_and_lag_are_counted_for_each_destination() {
    let values = Values::default();
    let _recorder = metrics::set_default_local_recorder(&values);
    let place = Place::new(shop_log().0);
    let plan = [Then::Fail(Retry::BackOff), Then::Fail(Retry::BackOff), Then::Take, Then::TakeSilently];
    let notebook = Notebook { batch_max: Some(5), ..Notebook::planned(plan) };
    let (delivery, mut handle) = place.open("crm", notebook);
    let running = tokio::spawn(delivery.run(CancellationToken::new()));
    handle.until(|position, _| position == LogPosition(5)).await;
    let found: Vec<(String, u64)> =
        values.0.lock().unwrap().iter().map(|(name, value)| (name.clone(), value.load(Ordering::Relaxed))).collect();
    let expected = [
        ("leadfold_publisher_events_total destination=crm", 5),
        ("leadfold_publisher_failures_total destination=crm", 2),
        ("leadfold_publisher_lag_records destination=crm", 1.0_f64.to_bits()),
    ];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    running.abort();
}
