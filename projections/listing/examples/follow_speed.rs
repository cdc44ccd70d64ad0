//! Temporary measurement.
#![allow(clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]
use std::sync::Arc;
use std::time::Instant;
use event_log::*;
use key_vault::*;
use lead_domain::*;
use listing::*;
use projector::*;
use proto_events::stored::*;
use proto_events::*;
use rand::{Rng, SeedableRng};

const POLICY: &str = r#"
tenant = "acme"
currency = "EUR"
time_zone = "Europe/Berlin"
phone_region = "DE"
close_reasons = ["x"]
[[lead_type]]
name = "tablets"
title = "Tablets"
group = "devices"
active = true
close_after = "48h"
counted_from = "last_interaction"
converts_on = [{ action = "purchase" }]
[[channel]]
name = "web"
title = "Web"
default_lead_type = "tablets"
[[channel]]
name = "chat"
title = "Chat"
default_lead_type = "tablets"
"#;

struct Timed { inner: Listing, fold: std::time::Duration, commit: std::time::Duration, commits: u32, settle: std::time::Duration }
impl Projection for Timed {
    fn name(&self) -> &'static str { "listing" }
    fn version(&self) -> u32 { 1 }
    fn checkpoint(&self) -> Result<Checkpoint, ModelError> { self.inner.checkpoint() }
    fn wants_personal(&self, h: &Header, f: &Facts) -> bool { self.inner.wants_personal(h, f) }
    fn fold(&mut self, r: &Recorded<'_>) -> Result<(), FoldError> { self.inner.fold(r) }
    fn is_full(&self) -> bool { self.inner.is_full() }
    fn commit(&mut self, c: Checkpoint) -> Result<(), ModelError> { let t = cpu(); let x = self.inner.commit(c); self.commit += cpu() - t; self.commits += 1; x }
    fn discard(&mut self) { self.inner.discard() }
    fn prepare(&mut self, b: u64) -> Result<(), ModelError> { self.inner.prepare(b) }
    fn settle(&mut self, b: u64) -> Result<(), ModelError> { let t = cpu(); let x = self.inner.settle(b); self.settle += cpu() - t; x }
}
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn cpu() -> std::time::Duration { let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap(); std::time::Duration::from_nanos(s.split(' ').next().unwrap().parse().unwrap()) }
fn hash(k: &str, n: u64) -> u128 { u128::from_be_bytes(*blake3::hash(format!("{k}{n}").as_bytes()).as_bytes().first_chunk().unwrap()) }

fn main() {
    let n: usize = std::env::args().nth(1).map_or(2_000_000, |a| a.parse().unwrap());
    let share: f64 = std::env::args().nth(2).map_or(0.15, |a| a.parse().unwrap());
    let policy = policy_document::read(POLICY, None).unwrap().policy;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut plan: Vec<(i64, u64)> = Vec::new();
    let visitors = (n / 9) as u64;
    while plan.len() < n {
        let v = (rng.random::<f64>().powf(1.3) * visitors as f64) as u64;
        let start = rng.random_range(0..60 * 86_400_000_i64);
        for i in 0..rng.random_range(1..12) { plan.push((start + i * 40_000, v)); }
    }
    plan.truncate(n);
    plan.sort_unstable();
    let log = MemoryLog::new();
    let vault = Arc::new(KeyVault::in_memory(MasterKey::from_bytes([7; 32])));
    let mut shelf = Shelf::default();
    let mut keys: rustc_hash::FxHashMap<u64, SubjectKey> = Default::default();
    let mut batch = Batch::after(log.head());
    let (mut events, mut scratch, mut fb, mut pb) = (vec![], vec![], vec![], vec![]);
    let mut push = |batch: &mut Batch, kind: u8, visitor: u64, at: i64, fb: &[u8], pb: &[u8], keys: &mut rustc_hash::FxHashMap<u64, SubjectKey>| {
        let position = batch.head().position.next();
        let header = Header { codec: CODEC, kind: RecordKind(kind), tenant: 1, position, visitor, feed_sequence: position.0, occurred_at: at, received_at: at, recorded_at: at, previous: LogPosition(0), key: if pb.is_empty() { 0 } else { visitor }, facts_len: fb.len() as u32, personal_len: if pb.is_empty() { 0 } else { (pb.len() + SEAL_OVERHEAD) as u32 } };
        batch.chain = Record::write(&header, batch.chain, fb, &mut batch.bytes);
        if !pb.is_empty() {
            let key = keys.entry(visitor).or_insert_with(|| vault.create_many(&[visitor]).unwrap().remove(0));
            key.seal_into(position.0, &batch.chain.0, pb, &mut batch.bytes);
        }
        batch.ends.push(batch.bytes.len());
    };
    encode_input(&InputFacts::Policy(StoredPolicy { version: 1, tenant: "acme".into(), document: POLICY.into() }), &mut fb);
    encode_events(&[], &mut fb);
    push(&mut batch, 3, 0, 0, &fb, &[], &mut keys);
    let t = Instant::now();
    for (i, (at, v)) in plan.iter().enumerate() {
        let mut facts = InteractionFacts { message: i as u128, channel: if v % 5 == 0 { "chat" } else { "web" }.into(), action: "product.viewed".into(), visitor_id: Some(hash("c", *v)), ..Default::default() };
        let mut personal = Personal { source: "/shop".into(), id: format!("evt-{i:010}").as_str().into(), visitor_id: Some(format!("cookie-{v:08}").as_str().into()), page_url: Some("https://shop.example.com/products/tab-9".into()), ..Default::default() };
        facts.device = Some(Device { browser: Some("Firefox".into()), kind: Some(if v % 2 == 0 { "mobile" } else { "desktop" }.into()), os: Some("Android".into()) });
        if i % 2 == 0 { facts.product = Some(Product { id: Some(format!("p{}", i % 500).as_str().into()), name: Some("A product with a name".into()), category: Some("tablets".into()), price: Some((19900, *b"EUR")) }); }
        if v % 3 == 0 { facts.customer_id = Some(hash("k", *v)); personal.customer_id = Some(format!("K{v:07}").as_str().into()); }
        if (*v as f64 / visitors as f64 * 7919.0).fract() < share { facts.email = Some(hash("e", *v)); personal.email = Some(format!("person{v}.schmidt@example.com").as_str().into()); personal.name = Some(format!("Anna Schmidt {v}").as_str().into()); personal.phone = None; }
        if i % 4 == 0 { personal.attributes.push(Attribute { name: "plan".into(), value: Value::Text("pro".into()) }); }
        if i % 40 == 0 { facts.action = "purchase".into(); facts.sale = Some(StoredSale { value: Some((i as i64 % 100_000, *b"EUR")), rgus: 1, order: None }); }
        events.clear();
        let id = InteractionId(batch.head().position.0 + 1);
        let visitor = { let input = Input::Interaction(id, facts.as_decided(Time::from_millis(*at), &mut scratch)); decide(&policy, TenantId(1), &mut shelf, &input, &mut events).unwrap() };
        fb.clear(); pb.clear();
        encode_interaction(&facts, &mut fb); encode_events(&events, &mut fb); encode_personal(&personal, &mut pb);
        push(&mut batch, 1, visitor.0, *at, &fb, &pb, &mut keys);
        if batch.ends.len() > 50_000 { log.append(&batch).unwrap(); batch = Batch::after(log.head()); }
    }
    log.append(&batch).unwrap();
    println!("made {} records in {:?}, {} visitors", log.head().position, t.elapsed(), shelf.len());
    drop(shelf);
    std::thread::sleep(std::time::Duration::from_secs(std::env::var("WAIT").map_or(0, |w| w.parse().unwrap())));
    let folder = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or("/tmp".into())).unwrap();
    let listing = Timed { inner: Listing::open(folder.path()).unwrap(), fold: Default::default(), commit: Default::default(), commits: 0, settle: Default::default() };
    let mut projector = Projector::new(Arc::new(log.clone()), vault.clone(), listing).unwrap();
    let t = Instant::now(); let c = cpu();
    projector.catch_up(LogPosition(u64::MAX), &mut |_| {}).unwrap();
    println!("wall {:?}", t.elapsed());
    let all = cpu() - c;
    let reader = projector.projection().inner.reader().unwrap();
    println!("followed in {all:?} = {:.0}/s; {:?}", n as f64 / all.as_secs_f64(), reader.counts(TenantId(1)).unwrap().0);
    { let p = projector.projection(); println!("CPU: commit {:?} in {} settle {:?} fold+decode+open {:?}", p.commit, p.commits, p.settle, all - p.fold - p.commit - p.settle); }
    println!("file {} MB", std::fs::metadata(folder.path().join("projections/listing-v1.sqlite")).unwrap().len() >> 20);
    let rss = std::fs::read_to_string("/proc/self/status").unwrap(); println!("{}", rss.lines().find(|l| l.starts_with("VmHWM")).unwrap());
    if std::env::var("FAST").is_ok() { return; }
    for q in [vec![], vec![("status","open")], vec![("channel","chat")], vec![("sort","closed_at")], vec![("sort","score")], vec![("sort","-value")], vec![("q","schmidt 77")], vec![("q","example.com")], vec![("email","person77.schmidt@example.com")], vec![("attr.plan","pro")], vec![("attr.plan","none")], vec![("customer_id","K0000300")], vec![("skill","none")], vec![("group","devices"),("sort","opened_at")],vec![("status","closed"),("sort","value"),("limit","500")], vec![("count","exact")]] {
        let mut query = LeadQuery::new(TenantId(1));
        for (a, b) in &q { query.set(a, b).unwrap(); }
        let t = cpu(); let page = reader.leads(&query).unwrap(); let first = cpu() - t;
        let (mut worst, mut pages) = (first, 1); query.cursor = page.next_cursor.clone(); query.count = CountMode::None;
        while query.cursor.is_some() && pages < 200 { let t = cpu(); let p = reader.leads(&query).unwrap(); worst = worst.max(cpu() - t); pages += 1; query.cursor = p.next_cursor; }
        println!("{q:?}: first {first:?}, worst of {pages} pages {worst:?}, rows {} count {:?}", page.items.len(), page.count);
    }
    // near the head: small batches
    let mut batch = Batch::after(log.head());
    let last = plan.last().unwrap().0;
    let mut shelf2 = Shelf::default(); let _ = &mut shelf2;
    let near = 20_000;
    let ids: Vec<u64> = (0..near).map(|_| rng.random_range(0..visitors / 2)).collect();
    for v in &ids {
        let lead = LeadId { visitor: VisitorId(*v + 1), ordinal: 1 };
        let position = batch.head().position.next();
        let facts = InteractionFacts { channel: "web".into(), action: "page.viewed".into(), visitor_id: Some(hash("c", *v)), ..Default::default() };
        let personal = Personal { source: "/shop".into(), id: format!("n{v}").as_str().into(), visitor_id: Some("x".into()), ..Default::default() };
        fb.clear(); pb.clear();
        encode_interaction(&facts, &mut fb);
        encode_events(&[Event::InteractionAttached { lead, interaction: InteractionId(position.0), occurred_at: Time::from_millis(last + position.0 as i64), because: lead_domain::event::AttachReason::OnlyCandidate, candidates: Default::default(), deadline: Time::from_millis(last) }], &mut fb);
        encode_personal(&personal, &mut pb);
        push(&mut batch, 1, v + 1, last, &fb, &pb, &mut keys);
    }
    let start = log.head().position;
    log.append(&batch).unwrap();
    for step in [1_000_u64, 5_000] {
        let from = projector.checkpoint().0.max(start.0);
        let t = cpu(); let mut worst = std::time::Duration::ZERO;
        let until = from + 10_000;
        while projector.checkpoint().0 < until { let s = cpu(); projector.catch_up(LogPosition((projector.checkpoint().0 + step).min(until)), &mut |_| {}).unwrap(); worst = worst.max(cpu() - s); }
        println!("near the head, {step} a batch: {:.0}/s, worst batch {worst:?}", 10_000.0 / (cpu() - t).as_secs_f64());
    }
}
