//! The tables and indexes of model version 7. A change of anything here is a new version.

/// The version of the model; part of the file's name.
pub(crate) const MODEL_VERSION: u32 = 7;

/// The tables. Times are milliseconds since the epoch; `leads.id` is `visitor << 20 | ordinal`, orphans have the position
/// of their record. Dated values stand as JSON beside their time: see the states that are stored here. `lead_counts` has an
/// empty `close_cause` for open leads. `state.parked` lists the streams that are left out, as JSON.
pub(crate) const TABLES: &str = "
CREATE TABLE state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  position INTEGER NOT NULL,
  chain BLOB NOT NULL,
  phase TEXT NOT NULL,
  leads INTEGER NOT NULL,
  parked TEXT
) STRICT;
CREATE TABLE tenants (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  policy_version INTEGER NOT NULL,
  grid TEXT
) STRICT;
CREATE TABLE lead_types (
  tenant INTEGER NOT NULL,
  name TEXT NOT NULL,
  grp TEXT,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE leads (
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  visitor INTEGER NOT NULL,
  lead_type TEXT NOT NULL,
  close_cause TEXT,
  close_reason TEXT,
  opened_at INTEGER NOT NULL,
  closed_at INTEGER,
  deadline INTEGER NOT NULL,
  first_interaction_at INTEGER NOT NULL,
  last_interaction_at INTEGER NOT NULL,
  interactions INTEGER NOT NULL,
  customer_id TEXT,
  skill TEXT,
  channel TEXT,
  campaign TEXT,
  campaign_source TEXT,
  campaign_medium TEXT,
  stage TEXT,
  temperature TEXT,
  grade TEXT,
  score INTEGER NOT NULL DEFAULT 0,
  fit INTEGER NOT NULL DEFAULT 0,
  engagement INTEGER NOT NULL DEFAULT 0,
  score_by_category TEXT,
  sale_value INTEGER,
  sale_currency TEXT,
  sale_sums TEXT,
  rgus INTEGER NOT NULL,
  conversions INTEGER NOT NULL,
  owner TEXT,
  device TEXT,
  device_at INTEGER,
  last_product TEXT,
  last_product_at INTEGER,
  attributes TEXT,
  notes TEXT,
  version INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE lead_counts (
  tenant INTEGER NOT NULL,
  close_cause TEXT NOT NULL,
  leads INTEGER NOT NULL,
  PRIMARY KEY (tenant, close_cause)
) STRICT, WITHOUT ROWID;
CREATE TABLE visitors (
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  merged_into INTEGER,
  absorbed TEXT,
  leads_opened INTEGER NOT NULL,
  identifiers TEXT,
  name TEXT,
  email TEXT,
  phone TEXT,
  country TEXT,
  locale TEXT,
  customer_id TEXT,
  search TEXT,
  learnt TEXT
) STRICT;
CREATE TABLE orphans (
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  visitor INTEGER NOT NULL,
  occurred_at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  channel TEXT NOT NULL,
  skill TEXT,
  action TEXT NOT NULL,
  facts BLOB NOT NULL,
  attributes BLOB
) STRICT;
CREATE TABLE duplicates (
  visitor INTEGER NOT NULL,
  other INTEGER NOT NULL,
  tenant INTEGER NOT NULL,
  kind TEXT,
  settled INTEGER NOT NULL,
  PRIMARY KEY (visitor, other)
) STRICT, WITHOUT ROWID;
CREATE INDEX duplicates_by_other ON duplicates (other);
";

/// The indexes that are made after many rows were loaded: for what leaves few rows of many. What leads are filtered and
/// sorted by otherwise is searched in memory, for an index on what every interaction changes costs more than its table.
pub(crate) const INDEXES: &str = "
CREATE INDEX leads_by_visitor ON leads (visitor);
CREATE INDEX leads_by_customer ON leads (tenant, customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX visitors_by_email ON visitors (tenant, email) WHERE email IS NOT NULL;
CREATE INDEX visitors_by_phone ON visitors (tenant, phone) WHERE phone IS NOT NULL;
CREATE INDEX orphans_by_time ON orphans (tenant, occurred_at);
CREATE INDEX duplicates_by_settled ON duplicates (tenant, settled);
";

/// Full text over what a visitor's row shows: parts of words of three letters and more. The text itself stands in the
/// visitor's row only; triggers keep the two in step.
///
/// A service commits often, and each commit adds a segment. Merging 8 of them at once instead of 4 writes everything less
/// often. What a row showed before stays in older segments until they are merged (`secure-delete` would seek it in each of
/// them, which was half of the listing's work): erasing a visitor has to end with the command `optimize`.
///
/// What a match is worth is never asked for, so no row tells how long a text is (`columnsize=0`).
pub(crate) const SEARCH: &str = "
CREATE VIRTUAL TABLE contact_search USING fts5(search, content='visitors', content_rowid='id', tokenize='trigram', detail='none', columnsize=0);
INSERT INTO contact_search (contact_search, rank) VALUES ('automerge', 8);
";

/// Fills the full text from the visitors' rows.
pub(crate) const FILL_SEARCH: &str = "INSERT INTO contact_search (contact_search) VALUES ('rebuild');";

/// Keeps the full text in step from then on.
pub(crate) const KEEP_SEARCH: &str = "
CREATE TRIGGER contact_search_insert AFTER INSERT ON visitors WHEN new.search IS NOT NULL BEGIN
  INSERT INTO contact_search (rowid, search) VALUES (new.id, new.search);
END;
CREATE TRIGGER contact_search_update AFTER UPDATE OF search ON visitors WHEN old.search IS NOT new.search BEGIN
  INSERT INTO contact_search (contact_search, rowid, search) SELECT 'delete', old.id, old.search WHERE old.search IS NOT NULL;
  INSERT INTO contact_search (rowid, search) SELECT new.id, new.search WHERE new.search IS NOT NULL;
END;
";

/// Takes the full text away.
pub(crate) const DROP_SEARCH: &str = "
DROP TRIGGER contact_search_insert;
DROP TRIGGER contact_search_update;
DROP TABLE contact_search;
";

/// The names in [`INDEXES`].
pub(crate) fn index_names() -> impl Iterator<Item = &'static str> {
    INDEXES.lines().filter_map(|line| line.strip_prefix("CREATE INDEX ")?.split(' ').next())
}
