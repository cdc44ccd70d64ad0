//! When a delivery tries again, on a clock that is moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event_log::LogPosition;
use lead_domain::TenantId;
use publisher::{Delivery, DeliveryOptions, DeliveryState, Retry};
use tokio_util::sync::CancellationToken;

use crate::story::{Notebook, Place, Then, shop_log, tenant_name};

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_tried_again_ever_later_and_a_success_begins_anew() {
    let (log, ids) = shop_log();
    let place = Place::new(log);
    let failures = |times| std::iter::repeat_n(Then::Fail(Retry::BackOff), times);
    let plan = failures(8).chain([Then::Take]).chain(failures(2));
    let notebook = Notebook { batch_max: Some(8), ..Notebook::planned(plan) };
    let (delivery, mut handle) = place.open("crm", notebook.clone());
    let running = tokio::spawn(delivery.run(CancellationToken::new()));
    let eighth = DeliveryState::Retrying { failures: 8, reason: "planned".to_owned() };
    handle.until(|_, state| *state == eighth).await;
    handle.until(|position, _| position == LogPosition(6)).await;
    assert_eq!(notebook.waits(), [1, 5, 30, 120, 600, 1800, 1800, 1800, 0, 1, 5]);
    assert_eq!((notebook.arrived(), handle.state()), (ids, DeliveryState::Delivering));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_destination_is_asked_again_when_it_wants_to_be() {
    let (log, ids) = shop_log();
    let place = Place::new(log);
    let asked = [0, 7, 3_600, 1_000_000].map(|seconds| Then::Fail(Retry::After(Duration::from_secs(seconds))));
    let notebook = Notebook::planned(asked);
    let (delivery, mut handle) = place.open("crm", notebook.clone());
    let running = tokio::spawn(delivery.run(CancellationToken::new()));
    handle.until(|position, _| position == LogPosition(6)).await;
    assert_eq!((notebook.waits(), notebook.arrived()), (vec![1, 7, 3_600, 86_400], ids));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn events_of_a_tenant_without_a_name_wait_for_it() {
    let (log, ids) = shop_log();
    let place = Place::new(log);
    let calls = AtomicUsize::new(0);
    let tenants = Arc::new(move |tenant: TenantId| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        if call < 3 { None } else { tenant_name(tenant) }
    });
    let notebook = Notebook::default();
    let options = DeliveryOptions { tenants, ..place.options("crm") };
    let (delivery, mut handle) = Delivery::open(options, notebook.clone()).unwrap();
    let running = tokio::spawn(delivery.run(CancellationToken::new()));
    let third = DeliveryState::Retrying { failures: 3, reason: "tenant 1 has no name yet".to_owned() };
    handle.until(|_, state| *state == third).await;
    handle.until(|position, _| position == LogPosition(6)).await;
    assert_eq!((notebook.arrived(), handle.state()), (ids, DeliveryState::Delivering));
    running.abort();
}
