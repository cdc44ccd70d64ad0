//! Who has a part in a sale: the touches of a lead up to its sale, and how its value is shared among them.
//!
//! A touch is an interaction of the lead that names what is credited, such as a campaign, not behind the lead's latest sale
//! and not longer before it than the look-back. The parts of a lead add up to one; a lead without a touch is one row that
//! names nobody.

use crate::report::document::object::Object;
use crate::report::fault::Faults;
use crate::report::field::Source;
use crate::report::ids::LEAD_KEY;

/// How touches are found and what each is worth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attribution {
    model: Model,
    /// The column of an interaction that names what is credited.
    by: &'static str,
    /// In milliseconds; `None` is any time.
    look_back: Option<i64>,
    /// In milliseconds.
    half_life: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    /// The first touch has it all.
    First,
    /// The last touch has it all.
    Last,
    /// All have the same.
    Linear,
    /// The first and the last have 40 % each, those between share the rest; two have half each.
    Position,
    /// Half as much for each half-life that a touch is earlier.
    TimeDecay,
}

const MODELS: [(&str, Model); 5] = [
    ("first_touch", Model::First),
    ("last_touch", Model::Last),
    ("linear", Model::Linear),
    ("position", Model::Position),
    ("time_decay", Model::TimeDecay),
];
const BY: [&str; 6] = ["campaign", "campaign_source", "campaign_medium", "channel", "skill", "device_type"];
const KEYS: [&str; 4] = ["model", "by", "look_back", "half_life"];
/// Where the document names no half-life: a week, as most analytics programs have it.
const HALF_LIFE_SECONDS: f64 = 7.0 * 86_400.0;

impl Attribution {
    /// Reads what a question about attribution needs besides.
    pub(crate) fn read(root: &Object<'_>, source: Source, faults: &mut Faults) -> Option<Self> {
        if source != Source::Attribution {
            if root.has("attribution") {
                faults.add("attribution", "invalid_field", "It goes with the source \"attribution\" only.");
            }
            return None;
        }
        if root.get("attribution").is_none() {
            faults.add(
                "attribution",
                "missing",
                "Name a model, such as {\"model\": \"linear\", \"by\": \"campaign\"}.",
            );
            return None;
        }
        let object = root.object("attribution", &KEYS, faults)?;
        let named = object.needed("model", faults);
        let model = named.and_then(|name| {
            let model = MODELS.iter().find(|(known, _)| *known == name);
            if model.is_none() {
                faults.unknown(object.at("model"), "model", name, MODELS.iter().map(|(known, _)| *known));
            }
            model
        });
        let by = object.text("by", faults).unwrap_or("campaign");
        let credited = BY.into_iter().find(|known| *known == by);
        if credited.is_none() {
            faults.unknown(object.at("by"), "field", by, BY);
        }
        let look_back = object.duration("look_back", faults).map(|seconds| (seconds * 1_000.0) as i64);
        let half_life = object.duration("half_life", faults).unwrap_or(HALF_LIFE_SECONDS) * 1_000.0;
        Some(Self { model: model?.1, by: credited?, look_back, half_life })
    }

    /// The rows of the source, as a table to select from.
    pub(crate) fn rows(&self) -> String {
        let Self { model, by, look_back, half_life } = self;
        let millis = |sql: &str| format!("arrow_cast({sql}, 'Int64')");
        let (sold, at) = (millis("b.converted_at"), millis("i.\"at\""));
        let recent = look_back.map(|it| format!(" and {at} >= {sold} - {it}")).unwrap_or_default();
        let credit = match model {
            Model::First => "case when n = 1 then 1.0 else 0.0 end".to_owned(),
            Model::Last => "case when n = k then 1.0 else 0.0 end".to_owned(),
            Model::Linear => "1.0 / cast(k as double)".to_owned(),
            Model::Position => "case when k = 1 then 1.0 when k = 2 then 0.5 when n = 1 or n = k then 0.4 \
                 else 0.2 / cast(k - 2 as double) end"
                .to_owned(),
            Model::TimeDecay => "w / sum(w) over (partition by lead_key)".to_owned(),
        };
        // Weights count from the last touch, so that far ones don't all come to nothing.
        let weight = match model {
            Model::TimeDecay => format!("power(0.5, cast(last_at - touched_ms as double) / {half_life:?})"),
            Model::First | Model::Last | Model::Linear | Model::Position => "1.0".to_owned(),
        };
        format!(
            "(select b.*, t.touch, t.touched_at, coalesce(t.credit, 1.0) as credit, \
             cast(b.sale_value as double) * coalesce(t.credit, 1.0) as credited_value \
             from leads b left join (select * from (select lead_key, touch, touched_at, {credit} as credit from (\
             select *, {weight} as w from (select b.lead_key as lead_key, arrow_cast(i.\"{by}\", 'Utf8') as touch, \
             i.\"at\" as touched_at, {at} as touched_ms, \
             row_number() over (partition by b.lead_key order by i.\"at\", i.position) as n, \
             count(*) over (partition by b.lead_key) as k, max({at}) over (partition by b.lead_key) as last_at \
             from interactions i join (select {LEAD_KEY}(_lead) as lead_key, conversions, converted_at from leads) b \
             on {LEAD_KEY}(i._lead) = b.lead_key \
             where b.conversions > 0 and i.\"{by}\" is not null and {at} <= {sold}{recent}) as numbered) as weighed) as shared \
             where credit > 0.0) t on {LEAD_KEY}(b._lead) = t.lead_key where b.conversions > 0) as s"
        )
    }
}
