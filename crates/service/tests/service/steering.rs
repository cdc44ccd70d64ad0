//! What the listing of a running service is told: to pause, to be built anew, whom to do without.

use std::time::Duration;

use event_log::LogPosition;
use lead_domain::{LeadId, VisitorId};
use listing::{LeadQuery, LeadRow, Listing, ListingReader};
use projector::Projector;
use service::{FollowedState, Order, OrderError, Service, ServiceError, ServiceHandle};

use crate::{Running, at_hour, command, event, start, start_in};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

impl Running {
    /// Stops it and starts anew with what it has left.
    async fn restarted(self) -> Self {
        stop(self.service).await;
        start_in(self.folder, self.log, self.vault, at_hour(100))
    }

    fn state(&self) -> FollowedState {
        self.service.handle().listing().borrow().clone()
    }

    async fn told(&self, order: Order) -> Result<(), OrderError> {
        self.service.handle().listing_projection().order(order).await
    }

    async fn takes(&self, id: &str, hour: i64) -> LogPosition {
        self.service.handle().submit(vec![event(id, hour, "web")]).await.unwrap();
        self.service.handle().head()
    }
}

async fn stop(service: Service) {
    tokio::task::spawn_blocking(move || service.stop()).await.unwrap().unwrap();
}

async fn leads(handle: &ServiceHandle) -> Vec<LeadRow> {
    let tenant = handle.tenant("acme").unwrap().id;
    handle.read_listing(move |reader| reader.leads(&LeadQuery::new(tenant))).await.unwrap().unwrap().items
}

/// The event of a visitor who is known already.
fn again(id: &str, visitor: &str, hour: i64) -> service::RawInput {
    let time = proto_events::lead_event::rfc3339(crate::hours(hour));
    let text = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/t","type":"leadfold.interaction.v1","time":"{time}",
        "data":{{"visitor_id":"{visitor}","channel":"web","action":"page.viewed"}}}}"#
    );
    crate::input(service::Form::Structured, text)
}

#[tokio::test]
async fn a_paused_listing_stands_still_until_it_is_resumed_also_after_a_restart() {
    let running = start(at_hour(100));
    let first = running.takes("a", 99).await;
    running.service.handle().wait_listed(first, LONG).await.unwrap();
    running.told(Order::Pause).await.unwrap();
    let second = running.takes("b", 99).await;
    let behind = running.service.handle().wait_listed(second, SHORT).await;
    assert!(matches!(behind, Err(ServiceError::Behind { position, .. }) if position == first), "{behind:?}");
    assert_eq!(leads(&running.service.handle()).await.len(), 1, "it is read as it stands");
    let running = running.restarted().await;
    let state = running.state();
    assert!(state.is_paused && state.is_ready && state.position == first, "{state:?}");
    assert_eq!(leads(&running.service.handle()).await.len(), 1);
    running.told(Order::Resume).await.unwrap();
    running.service.handle().wait_listed(second, LONG).await.unwrap();
    assert_eq!(leads(&running.service.handle()).await.len(), 2);
    assert!(!running.restarted().await.state().is_paused);
}

#[tokio::test]
async fn an_erasure_is_followed_although_the_listing_is_paused() {
    let running = start(at_hour(100));
    let first = running.takes("a", 99).await;
    running.service.handle().wait_listed(first, LONG).await.unwrap();
    running.told(Order::Pause).await.unwrap();
    let erase = r#"{"id":"k1","operator":"olga","command":"erase_visitor","visitor_id":"V1","reason":"asked for it"}"#;
    running.service.handle().submit(vec![command(erase)]).await.unwrap();
    let erased = running.service.handle().head();
    running.service.handle().wait_listed(erased, LONG).await.unwrap();
    let behind = running.takes("b", 99).await;
    assert!(running.service.handle().wait_listed(behind, SHORT).await.is_err(), "it is paused still");
}

#[tokio::test]
async fn a_listing_is_built_anew_while_it_is_followed_and_read() {
    let running = start(at_hour(100));
    let handle = running.service.handle();
    for batch in 0..60 {
        let events = (0..250).map(|number| event(&format!("{batch}-{number}"), 99, "web")).collect();
        handle.submit(events).await.unwrap();
    }
    handle.wait_listed(handle.head(), LONG).await.unwrap();
    running.told(Order::Rebuild).await.unwrap();
    running.told(Order::Rebuild).await.unwrap();
    let tenant = handle.tenant("acme").unwrap().id;
    let mut last = LogPosition::START;
    for number in 0.. {
        handle.submit(vec![event(&format!("late-{number}"), 99, "web")]).await.unwrap();
        let head = handle.head();
        handle.wait_listed(head, LONG).await.unwrap();
        let page = handle.read_listing(move |reader| reader.leads(&LeadQuery::new(tenant))).await.unwrap().unwrap();
        assert!(page.position >= head && page.position >= last, "no answer goes back");
        last = page.position;
        if running.state().rebuilding.is_none() {
            break;
        }
    }
    let after = running.takes("after", 99).await;
    handle.wait_listed(after, LONG).await.unwrap();
    assert_eq!(running.state().rebuild_error, None);
    drop(handle);
    stop(running.service).await;
    let dump = |data: &std::path::Path| ListingReader::open(data).unwrap().canonical_dump().unwrap();
    let anew = tempfile::tempdir().unwrap();
    let listing = Listing::open(anew.path()).unwrap();
    let log: std::sync::Arc<dyn event_log::EventLog> = std::sync::Arc::new(running.log);
    Projector::new(log, running.vault, listing).unwrap().catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    assert!(dump(running.folder.path()) == dump(anew.path()), "it is the listing of the log");
    let left = std::fs::read_dir(running.folder.path().join("projections")).unwrap();
    let names: Vec<_> = left.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.contains("building")), "{names:?}");
}

#[tokio::test]
async fn a_visitor_whose_record_does_not_fit_is_left_out_alone_and_a_rebuild_brings_them_back() {
    let running = start(at_hour(100));
    let listed = running.takes("a", 98).await;
    running.service.handle().wait_listed(listed, LONG).await.unwrap();
    stop(running.service).await;
    // Something else has been at the file: the first visitor's lead is gone.
    let files = std::fs::read_dir(running.folder.path().join("projections")).unwrap();
    let file = files.map(|file| file.unwrap().path()).find(|path| path.extension().is_some_and(|it| it == "sqlite"));
    let changed = rusqlite::Connection::open(file.unwrap()).unwrap().execute("DELETE FROM leads", []).unwrap();
    assert_eq!(changed, 1);
    let running = start_in(running.folder, running.log, running.vault, at_hour(100));
    let handle = running.service.handle();
    handle.submit(vec![again("a-2", "a", 99), event("b", 99, "web"), again("a-3", "a", 99)]).await.unwrap();
    handle.wait_listed(handle.head(), LONG).await.unwrap();
    let visitors = |leads: Vec<LeadRow>| leads.into_iter().map(|lead| lead.id.visitor).collect::<Vec<_>>();
    assert_eq!(visitors(leads(&handle).await), [VisitorId(2)], "everybody else's flow");
    let parked = running.state().parked;
    let stream = parked.stream(VisitorId(1)).unwrap();
    assert_eq!((parked.waiting(), stream.records, stream.since), (1, 2, stream.cause));
    assert!(running.state().error.is_none());
    let discard = |visitor| Order::Discard { visitor: VisitorId(visitor), reason: "a test".to_owned() };
    let refused = running.told(discard(2)).await;
    assert!(matches!(refused, Err(OrderError::NotParked { visitor: VisitorId(2), .. })), "{refused:?}");
    running.told(discard(1)).await.unwrap();
    let parked = running.state().parked;
    assert_eq!((parked.waiting(), parked.streams().count()), (0, 1));
    drop(handle);
    let running = running.restarted().await;
    let parked = running.state().parked;
    assert_eq!(parked.stream(VisitorId(1)).unwrap().discarded.as_deref(), Some("a test"), "it is kept with the model");
    let mut state = running.service.handle().listing();
    running.told(Order::Rebuild).await.unwrap();
    state.wait_for(|state| state.rebuilding.is_none()).await.unwrap();
    assert!(running.state().parked.is_empty());
    let mut all = leads(&running.service.handle()).await;
    all.sort_by_key(|lead| lead.id);
    let first = LeadId { visitor: VisitorId(1), ordinal: 1 };
    assert_eq!((all[0].id, all[0].interactions, all.len()), (first, 3, 2));
}
