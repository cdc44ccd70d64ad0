//! Leadfold over HTTP: routes, their description, who may call them, and what goes wrong.
//!
//! Turns requests into inputs, commands and questions, and what comes back into JSON. Knows no storage, listens on nothing
//! and ends no process: [`router`] gives a router for whoever does.

#![forbid(unsafe_code)]

mod options;

mod state;

mod caller;

mod problem;

mod answer;

mod parameters;

mod media;

mod events;

mod segment;

mod leads;

mod past;

mod acts;

mod shown;

mod scores;

mod orphans;

mod visitors;

mod nurture;

mod duplicates;

mod policies;

mod privacy;

mod suppressions;

mod explain;

mod export;

mod exports;

mod quarantine;

mod report;

mod funnel;

mod sql;

mod changes;

mod checkpoint;

mod projections;

mod proofs;

mod health;

mod observe;

mod linger;

mod router;

pub use explain::{ExplainedRecord, explained_record};
pub use export::{VisitorExport, visitor_export};
pub use exports::LeadWriter;
pub use nurture::{NurtureBegun, NurtureConsent, NurtureRun, VisitorNurture, visitor_nurture};
pub use observe::current_trace;
pub use options::ApiOptions;
pub use past::{PAST_TABLES, PastModels};
pub use problem::{Problem, ProblemBody};
pub use projections::{ParkedRow, ProjectionRow};
pub use proofs::{Evidence, ProofBundle, ProofError, ProofFile, ProofRequest, SignedHeadRow, sign_head};
pub use quarantine::QuarantineRow;
pub use router::{description, router};
pub use scores::{ScoreLedger, ScoreLedgerRow, ScoreRuleAccount, ScoreRuleVerdict, score_ledger};
pub use shown::{TimelineRow, timeline_row};
pub use sql::Analysis;
pub use state::{Api, FeedErasing, FeedErasure, Forgetting, Inlet, ReadyCheck, StopCheck, Taking};
pub use suppressions::{SuppressionRow, suppression_at, suppression_cursor};
