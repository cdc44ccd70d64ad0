//! The funnel: how many leads reached each stage, where they dropped off, and how long they took from stage to stage.
//!
//! Two questions make it: leads by the stage that they are in, and entries into stages with the time in the stage before.
//! Nothing goes back in a funnel, so whoever is in a stage has reached all in front of it, also where they skipped some.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::query::{QueryError, Session};
use crate::report::answer::{Note, Report, ShownPeriod};
use crate::report::calendar::Unit;
use crate::report::document::{Question, Setting};
use crate::report::fault::{Fault, Faults};
use crate::report::field::{Kind, Source};

/// Fields to group by.
const BY_MAX: usize = 3;
/// Rows of the two questions: groups times stages.
const ROWS_MAX: usize = 10_000;
/// The column of the stage in the questions; the fields of leads have no such name.
const STAGE: &str = "_stage";

/// A funnel that can be asked for.
#[derive(Clone, Debug)]
pub struct Funnel {
    stages: Vec<String>,
    by: Vec<String>,
    standing: Question,
    entries: Question,
}

/// A funnel at one position of the log.
#[derive(Clone, Debug, Serialize)]
pub struct FunnelReport {
    /// The position of the log at which all of it stands.
    pub position: u64,
    /// The zone of days and of times.
    pub zone: String,
    /// The time that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<ShownPeriod>,
    /// The stages of the policy in force, in order.
    pub stages: Vec<String>,
    /// What groups are of.
    pub by: Vec<String>,
    /// The groups, that with most leads first; one where nothing is grouped by.
    pub groups: Vec<FunnelGroup>,
    /// Whether there are more groups.
    pub truncated: bool,
    /// What could not be worked out, and why.
    pub notes: Vec<Note>,
}

/// The funnel of some leads.
#[derive(Clone, Debug, Serialize)]
pub struct FunnelGroup {
    /// What they have in common.
    pub group: Map<String, Value>,
    /// How many there are.
    pub leads: u64,
    /// How many of them converted.
    pub converted: u64,
    /// How many are in no stage that the policy in force has.
    pub in_no_stage: u64,
    /// The stages, in order.
    pub stages: Vec<FunnelStep>,
}

/// A stage of a funnel.
#[derive(Clone, Debug, Serialize)]
pub struct FunnelStep {
    /// Its name.
    pub stage: String,
    /// Leads that entered it or a later one.
    pub reached: u64,
    /// Leads that are in it now, or ended there.
    pub here: u64,
    /// Leads that reached it, in hundredths of all leads; empty where there are none.
    pub reached_percent: Option<f64>,
    /// Leads that reached it, in hundredths of those that reached the stage before.
    pub from_previous_percent: Option<f64>,
    /// Leads that reached the stage before and not this one.
    pub dropped_off: u64,
    /// Entries into it from a stage before: skipped stages have none.
    pub entered_from_before: u64,
    /// The median of the seconds in the stage before, of those entries.
    pub median_seconds_from_before: Option<f64>,
}

impl Funnel {
    /// Reads what is asked: `by`, `from`, `to`, `zone` and `date_origin` (opened, closed or converted), and any field of a lead
    /// with the values that it may have, separated by commas. `stages` are the policy's, in order.
    ///
    /// # Errors
    /// Everything that is wrong with it, by parameter.
    pub fn read(
        parameters: &[(String, String)],
        stages: impl IntoIterator<Item = String>,
        setting: &Setting,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let asked = Asked::read(parameters, &mut faults);
        let stages: Vec<String> = stages.into_iter().collect();
        if stages.is_empty() {
            faults.add("", "no_stages", "The policy in force has no [[funnel.stage]], so there is no funnel.");
        }
        if !faults.is_empty() {
            return Err(faults.found());
        }
        let question = |source: Source| {
            let document = serde_json::to_vec(&asked.document(source)).unwrap_or_default();
            Question::read(&document, setting).map_err(|faults| asked.by_parameter(faults))
        };
        let (standing, entries) = (question(Source::Leads)?, question(Source::Events)?);
        Ok(Self { stages, by: asked.by, standing, entries })
    }
}

/// The parameters, sorted out.
#[derive(Debug, Default)]
struct Asked {
    by: Vec<String>,
    plain: BTreeMap<&'static str, String>,
    filters: Vec<(String, Vec<Value>)>,
}

impl Asked {
    fn read(parameters: &[(String, String)], faults: &mut Faults) -> Self {
        let mut asked = Self::default();
        for (name, value) in parameters {
            match ["from", "to", "zone", "date_origin"].into_iter().find(|known| known == name) {
                Some("date_origin") if !["opened", "closed", "converted"].contains(&value.as_str()) => {
                    faults.unknown("date_origin", "date origin", value, ["opened", "closed", "converted"]);
                }
                Some(plain) => {
                    asked.plain.insert(plain, value.clone());
                }
                None if name == "by" => {
                    asked.by.extend(value.split(',').filter(|field| !field.is_empty()).map(str::to_owned));
                }
                None => asked.filter(name, value, faults),
            }
        }
        if asked.by.len() > BY_MAX {
            faults.add("by", "too_many", format!("A funnel is grouped by {BY_MAX} fields at most."));
        }
        asked
    }

    /// A field of a lead, which must have one of some values.
    fn filter(&mut self, name: &str, value: &str, faults: &mut Faults) {
        let Some(field) = Source::Leads.field(name, 0) else {
            let names = Source::Leads.field_names();
            let known = ["by", "from", "to", "zone", "date_origin"].into_iter();
            faults.unknown(name, "parameter", name, known.chain(names.iter().map(String::as_str)));
            return;
        };
        let values = value.split(',').map(|text| match field.kind {
            Kind::Number | Kind::Money => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
            Kind::Flag => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
            Kind::Text | Kind::Duration | Kind::Time | Kind::Attribute => Value::from(text),
        });
        self.filters.push((name.to_owned(), values.collect()));
    }

    /// The question of leads by stage, or that of entries into stages.
    fn document(&self, source: Source) -> Value {
        let of_lead = |field: &str| match source {
            Source::Events => format!("lead.{field}"),
            Source::Leads | Source::Interactions | Source::Score | Source::Attribution => field.to_owned(),
        };
        let mut dimensions: Vec<Value> = self
            .by
            .iter()
            .map(|field| match Unit::named(field) {
                Some(_) => json!({ "name": field, "by": field }),
                None => json!({ "name": field, "field": of_lead(field) }),
            })
            .collect();
        dimensions.push(json!({ "name": STAGE, "field": "stage" }));
        let filters = self.filters.iter().map(|(field, values)| json!({ "field": of_lead(field), "in": values }));
        let mut filters: Vec<Value> = filters.collect();
        let measures = match source {
            Source::Events => {
                filters.push(json!({ "field": "event", "is": "stage_entered" }));
                filters.push(json!({ "field": "stayed", "is_not": null }));
                json!(["count", { "name": "median", "function": "median", "field": "stayed" }])
            }
            Source::Leads | Source::Interactions | Source::Score | Source::Attribution => {
                let converted = json!([{ "field": "is_converted", "is": true }]);
                json!(["count", { "name": "converted", "function": "count", "filters": converted }])
            }
        };
        let plain = |name: &str| self.plain.get(name).cloned();
        let mut period = Map::new();
        for end in ["from", "to"] {
            period.extend(plain(end).map(|value| (end.to_owned(), Value::from(value))));
        }
        let mut document = json!({
            "source": source.name(), "measures": measures, "dimensions": dimensions, "filters": filters,
            "period": period, "date_origin": plain("date_origin").unwrap_or_else(|| "opened".to_owned()), "limit": ROWS_MAX,
        });
        if let (Some(zone), Some(document)) = (plain("zone"), document.as_object_mut()) {
            document.insert("zone".to_owned(), zone.into());
        }
        document
    }

    /// Faults of a document are told by the parameter that they come from.
    fn by_parameter(&self, faults: Vec<Fault>) -> Vec<Fault> {
        let place = |path: &str, list: &str| -> Option<usize> {
            path.strip_prefix(list)?.strip_prefix('[')?.split(']').next()?.parse().ok()
        };
        let parameter = |path: &str| {
            if place(path, "dimensions").is_some() {
                return "by".to_owned();
            }
            if let Some((name, _)) = place(path, "filters").and_then(|place| self.filters.get(place)) {
                return name.clone();
            }
            path.strip_prefix("period.").unwrap_or(path).to_owned()
        };
        faults.into_iter().map(|fault| Fault { path: parameter(&fault.path), ..fault }).collect()
    }
}

impl Session {
    /// Answers a funnel, all of it at the position of the session.
    ///
    /// # Errors
    /// When it takes more than the limits allow, makes too many groups, or the tables can't be read.
    pub async fn funnel(&self, funnel: &Funnel) -> Result<FunnelReport, QueryError> {
        let standing = self.report(&funnel.standing).await?;
        let entries = self.report(&funnel.entries).await?;
        Ok(put_together(funnel, standing, &entries))
    }
}

/// What is known of a group while it is put together.
#[derive(Debug, Default)]
struct Gathered {
    group: Map<String, Value>,
    leads: u64,
    converted: u64,
    in_no_stage: u64,
    here: Vec<u64>,
    entries: Vec<(u64, Option<f64>)>,
}

fn put_together(funnel: &Funnel, standing: Report, entries: &Report) -> FunnelReport {
    let width = funnel.stages.len();
    let mut groups: BTreeMap<String, Gathered> = BTreeMap::new();
    for item in &standing.items {
        let gathered = group_of(&mut groups, funnel, item);
        let (leads, converted) = (number(item, "count"), number(item, "converted"));
        gathered.leads += leads;
        gathered.converted += converted;
        match stage_of(funnel, item).and_then(|stage| gathered.here.get_mut(stage)) {
            Some(here) => *here += leads,
            None => gathered.in_no_stage += leads,
        }
    }
    for item in &entries.items {
        let gathered = group_of(&mut groups, funnel, item);
        if let Some(entered) = stage_of(funnel, item).and_then(|stage| gathered.entries.get_mut(stage)) {
            *entered = (number(item, "count"), item.get("median").and_then(Value::as_f64));
        }
    }
    let mut groups: Vec<FunnelGroup> = groups.into_values().map(|gathered| gathered.shown(funnel)).collect();
    if groups.is_empty() && funnel.by.is_empty() {
        groups.push(Gathered::of(Map::new(), width).shown(funnel));
    }
    // The sort is stable, and groups come in the order of what they have in common.
    groups.sort_by_key(|group| std::cmp::Reverse(group.leads));
    FunnelReport {
        position: standing.position,
        zone: standing.zone,
        period: standing.period,
        stages: funnel.stages.clone(),
        by: funnel.by.clone(),
        groups,
        truncated: standing.truncated || entries.truncated,
        notes: standing.notes,
    }
}

fn group_of<'a>(
    groups: &'a mut BTreeMap<String, Gathered>,
    funnel: &Funnel,
    item: &Map<String, Value>,
) -> &'a mut Gathered {
    let cell = |name: &String| (name.clone(), item.get(name).cloned().unwrap_or(Value::Null));
    let group: Map<String, Value> = funnel.by.iter().map(cell).collect();
    let key = Value::Object(group.clone()).to_string();
    groups.entry(key).or_insert_with(|| Gathered::of(group, funnel.stages.len()))
}

fn stage_of(funnel: &Funnel, item: &Map<String, Value>) -> Option<usize> {
    let stage = item.get(STAGE)?.as_str()?;
    funnel.stages.iter().position(|known| known == stage)
}

fn number(item: &Map<String, Value>, name: &str) -> u64 {
    item.get(name).and_then(Value::as_u64).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a share is a float; 2^53 leads are beyond any log")]
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}

impl Gathered {
    fn of(group: Map<String, Value>, width: usize) -> Self {
        Self { group, here: vec![0; width], entries: vec![(0, None); width], ..Self::default() }
    }

    fn shown(self, funnel: &Funnel) -> FunnelGroup {
        let mut reached: u64 = self.here.iter().sum();
        let mut before: Option<u64> = None;
        let mut stages = Vec::with_capacity(funnel.stages.len());
        for ((stage, here), (entered, median)) in funnel.stages.iter().zip(&self.here).zip(&self.entries) {
            stages.push(FunnelStep {
                stage: stage.clone(),
                reached,
                here: *here,
                reached_percent: percent(reached, self.leads),
                from_previous_percent: before.and_then(|before| percent(reached, before)),
                dropped_off: before.map_or(0, |before| before.saturating_sub(reached)),
                entered_from_before: *entered,
                median_seconds_from_before: *median,
            });
            before = Some(reached);
            reached = reached.saturating_sub(*here);
        }
        let Self { group, leads, converted, in_no_stage, .. } = self;
        FunnelGroup { group, leads, converted, in_no_stage, stages }
    }
}
