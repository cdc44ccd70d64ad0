//! The command line: what can be asked, with an example for everything.

mod audit;
mod care;
mod export;
mod leads;
mod orphans;
mod serving;
mod sql;
mod visitor;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use lead_domain::{InteractionId, LeadId, Time};
use proto_events::command_document::Rescore;

pub(crate) use audit::{
    AsOfArgs, AsOfCommand, BackupArgs, ExplainArgs, HeadsArgs, ProveArgs, ReplayArgs, RestoreArgs, VerifyArgs,
    WhatIfArgs,
};
pub(crate) use care::{ProjectArgs, ProjectionsAct, ProjectionsArgs, QuarantineAct, QuarantineArgs, QuarantineFilter};
pub(crate) use export::{ExportCommand, ExportFormat, ExportTo};
pub(crate) use leads::{LeadsArgs, LeadsWanted};
pub(crate) use orphans::{DuplicatesArgs, OrphanAct, OrphanArgs, OrphansArgs};
pub(crate) use serving::{FeedCommand, KeysCommand, LogFormat, NatsArgs, ServeArgs};
pub(crate) use sql::{AnalyticsArgs, FunnelArgs, SqlArgs, SqlFormat};
pub(crate) use visitor::{SuppressArgs, SuppressionsArgs, VisitorAct, VisitorArgs, WhomArgs};

use crate::generate::GenerateArgs;
use crate::settings::{GlobalArgs, parse_time};

/// An open, event-sourced lead engine: interactions in, leads out, every one explained by its log.
#[derive(Debug, Parser)]
#[command(name = "leadfold", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 data damaged.\n\n\
    Example:\n  leadfold policy adopt examples/shop/policy.toml\n  \
    leadfold import examples/shop/interactions.ndjson\n  leadfold leads --status open --limit 10\n\n\
    Where a running service holds the data folder, commands go to it. --server names one elsewhere.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check, adopt and show what people configure
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Record history or batches: CloudEvents NDJSON, or CSV with a mapping; plain, gzip or zstd
    #[command(
        after_help = "A second import of the same file changes nothing, so an import that was cut off is simply \
        run again.\n\nExamples:\n  leadfold import interactions.ndjson.zst\n  \
        leadfold import --mapping examples/ecom/mapping.toml ecom.csv.gz\n  zcat old.gz | leadfold import -"
    )]
    Import(ImportArgs),
    /// List leads: filter, search, sort, page
    #[command(after_help = "Several values of one filter are separated by commas.\n\nExamples:\n  \
        leadfold leads --status open --lead-type tablets,broadband --sort=-value\n  \
        leadfold leads --opened-from 2026-01-01 --q anna --json --limit 100000")]
    Leads(Box<LeadsArgs>),
    /// Show one lead, or act on it
    #[command(after_help = "Examples:\n  leadfold lead V42-1\n  leadfold lead V42-1 --timeline\n  \
        leadfold lead V42-1 --score --why \"looked at a product\"\n  \
        leadfold lead V42-1 --as-of 2026-01-31T12:00:00Z\n  leadfold lead V42-1 close --reason not_interested\n  \
        leadfold lead V42-1 convert --value 12900 --currency EUR --order A-1")]
    Lead(LeadArgs),
    /// List interactions that no lead could take
    #[command(after_help = "Examples:\n  leadfold orphans --channel web\n  leadfold orphan I1042 adopt --lead V42-1")]
    Orphans(OrphansArgs),
    /// Act on one orphan
    #[command(after_help = "Examples:\n  leadfold orphan I1042 adopt --lead V42-1\n  \
        leadfold orphan I1042 adopt --lead-type tablets")]
    Orphan(OrphanArgs),
    /// Move an interaction that was attached wrongly
    #[command(after_help = "Example:\n  leadfold interaction I1042 move --to V42-2")]
    Interaction(InteractionArgs),
    /// List visitors who may be the same person
    #[command(after_help = "Examples:\n  leadfold duplicates\n  leadfold visitor V42 merge V77\n  \
        leadfold visitor V42 settle V77")]
    Duplicates(DuplicatesArgs),
    /// Show a visitor, or act on it
    #[command(after_help = "Examples:\n  leadfold visitor V42\n  leadfold visitor V42 merge V77\n  \
        leadfold visitor V77 unmerge --keep-apart")]
    Visitor(VisitorArgs),
    /// Collect nothing any more that carries one of these identifiers; only keyed hashes of them are kept
    #[command(
        after_help = "What was recorded before stays; `leadfold visitor ID erase` forgets it. Nobody need be known \
        by the identifiers.\n\nExample:\n  leadfold suppress --email ada@example.com --reason 'objects to profiling'"
    )]
    Suppress(SuppressArgs),
    /// Collect again what carries one of these identifiers
    #[command(after_help = "Example:\n  leadfold unsuppress --email ada@example.com --reason 'consents again'")]
    Unsuppress(SuppressArgs),
    /// List what is not collected, or look whether somebody's identifiers are on that list
    #[command(
        after_help = "Identifiers themselves are not kept: KEY is their keyed hash, by which nobody can be found who isn't \
        named.\n\nExamples:\n  leadfold suppressions\n  leadfold suppressions --email ada@example.com"
    )]
    Suppressions(SuppressionsArgs),
    /// List inputs that could not be taken, and take or discard them
    #[command(after_help = "Examples:\n  leadfold quarantine\n  leadfold quarantine 1042 show\n  \
        leadfold quarantine 1042 retry --with repaired.json\n  leadfold quarantine 1042 discard")]
    Quarantine(QuarantineArgs),
    /// Measure leads, interactions, events and attribution: counts, sums, percentiles, shares, by anything, compared
    #[command(after_help = "The query is a document; ARCHITECTURE.md and /docs of a service describe it.\n\n\
        Examples:\n  leadfold analytics '{\"source\": \"leads\", \"measures\": [\"count\", \"sum:sale_value\"], \
        \"dimensions\": [\"lead_type\"]}'\n  leadfold analytics query.json")]
    Analytics(AnalyticsArgs),
    /// Show how far leads got: stages reached, drop-off, time between, by anything
    #[command(after_help = "Examples:\n  leadfold funnel\n  leadfold funnel --by channel --from 2026-01-01\n  \
        leadfold funnel --by week,lead_type --where status=closed --where channel=web,chat")]
    Funnel(FunnelArgs),
    /// Ask the analytics tables with SQL: one statement that only reads
    #[command(
        after_help = "The tables are interactions, lead_events, score_rows and leads; `describe leads` names the columns.\n\n\
        Examples:\n  leadfold sql \"select lead_type, count(*) as leads, sum(sale_value) from leads group by lead_type\"\n  \
        leadfold sql \"select * from interactions\" --format parquet -o interactions.parquet"
    )]
    Sql(SqlArgs),
    /// Write everything of a kind to a file: leads, interactions, lead events, score rows
    #[command(
        after_help = "True at one position of the log, which is told at the end. A text of CSV that a spreadsheet \
        would run as a formula has an apostrophe in front. A file is there only when all of it is.\n\n\
        Examples:\n  leadfold export leads --status open --format csv --out leads.csv\n  \
        leadfold export score --format parquet --out score.parquet\n  leadfold export events | gzip > events.ndjson.gz"
    )]
    #[command(subcommand)]
    Export(ExportCommand),
    /// Show the read models and how far they have followed; pause one, build it anew, look after who is left out of it
    #[command(after_help = "Examples:\n  leadfold projections\n  leadfold projections rebuild listing\n  \
        leadfold projections pause analytics\n  leadfold projections parked listing")]
    Projections(ProjectionsArgs),
    /// Keep a read model in this process and a folder of its own, beside whoever holds the data
    #[command(
        after_help = "It reads the log as it grows, locks nothing, and takes processor time that nobody else wants. The \
        first SIGTERM or Ctrl-C makes durable what is there and stops. `leadfold sql --tables FOLDER` asks the tables that it \
        keeps; other programs read its files as they are.\n\nExamples:\n  leadfold project analytics --into /srv/reporting\n  \
        leadfold project listing --into copy --once"
    )]
    Project(ProjectArgs),
    /// Run the service: HTTP, the feed, the clock, the listing
    #[command(
        after_help = "The first SIGTERM or Ctrl-C finishes what is under way and stops; a second one stops at once, \
        which loses nothing either.\n\nExamples:\n  leadfold serve\n  leadfold serve --listen 127.0.0.1:0 --log-format json"
    )]
    Serve(Box<ServeArgs>),
    /// Look at the feed's watermark, or begin a new epoch after the stream has lost messages
    #[command(subcommand)]
    Feed(FeedCommand),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check the whole log and everything derived from it
    #[command(
        after_help = "Checks the chain, the seals, signed heads, duplicate detection, the books against a fold of the log, and \
        each lead of the listing and of the analytics tables against its book.\n\
        Exits with 3 when something is damaged.\n\nExample:\n  leadfold verify --json"
    )]
    Verify(VerifyArgs),
    /// Decide every recorded input again, and compare with what is recorded
    #[command(
        after_help = "Decides under the policies that were in force, and names the first record that differs with both \
        decisions. Reads the log beside a running service. --tenant takes only that tenant's inputs. Exits with 3 when \
        something differs.\n\nExamples:\n  leadfold replay\n  leadfold replay --from 1000000 --json"
    )]
    Replay(ReplayArgs),
    /// Decide the recorded history under another policy, beside the recorded one
    #[command(
        after_help = "Changes nothing, and reads the log beside a running service. Leads that the same record opened \
        are the same lead. An operator's act goes to the lead that took the same latest interaction.\n\nExamples:\n  \
        leadfold what-if --policy three-days.toml\n  \
        leadfold what-if --policy three-days.toml --from 2026-01-01T00:00:00Z --export differing.csv"
    )]
    WhatIf(WhatIfArgs),
    /// Explain one record: what came in, whose it is, by which rule, which leads, what was decided
    #[command(
        after_help = "Reads the log up to the record, also beside a running service, and no personal data.\n\nExamples:\n  \
        leadfold explain 1042\n  leadfold explain 1042 --why-not V42-1"
    )]
    Explain(ExplainArgs),
    /// Ask about the past
    #[command(after_help = "A listing or tables are built in a place of their own from the log, which takes about as \
        long as `leadfold projections rebuild`, and thrown away. Reads the log beside a running service; with --server \
        the service answers, and keeps what it has built for a while.\n\nExamples:\n  \
        leadfold as-of 2026-01-31T12:00:00Z lead V42-1\n  \
        leadfold as-of 2026-01-31T12:00:00Z leads --status open\n  \
        leadfold as-of 2026-01-31T12:00:00Z --known-at 2026-01-31T12:00:00Z leads --json")]
    AsOf(AsOfArgs),
    /// Write a bundle that proves what became of a lead, which `leadfold-check` checks offline
    #[command(
        after_help = "The records of the lead's visitor with proofs that they stand in the log, the policies that they \
        were decided under, and the signed head of the log.\n\nExamples:\n  leadfold prove --lead V42-1 --out proof\n  \
        leadfold prove --lead V42-1 --out proof --redact --since last-head.note\n  leadfold-check proof"
    )]
    Prove(ProveArgs),
    /// List the signed heads of the log, or sign one
    #[command(
        after_help = "A head covers all records up to it by one hash. Whoever keeps one can check later that the log was \
        only added to. A running service signs one every hour.\n\nExamples:\n  leadfold heads --sign\n  \
        leadfold heads --limit 1 --json"
    )]
    Heads(HeadsArgs),
    /// Rebuild everything that is derived from the log: tables and read models. Never touches the log
    #[command(after_help = "Example:\n  leadfold repair")]
    Repair,
    /// Copy the log, also while a service runs; what an earlier backup has is shared with it
    #[command(
        after_help = "The log, its head mark, API keys (hashed) and the cursors of destinations. Tables and read models \
        follow from the log. A backup that was cut off is no backup, and the next one removes it.\n\nExample:\n  \
        leadfold backup /backups/leads --keys /elsewhere/leads-keys"
    )]
    Backup(BackupArgs),
    /// Make a data folder from a backup, after checking all of it
    #[command(
        after_help = "The folder of --data must not be there yet, or be empty. It appears when the backup has proved \
        whole: files by their hashes, the log as `verify` checks it. A service that reads a feed goes on behind the \
        last message in the log, and refuses to if the stream has lost what comes next.\n\nExample:\n  \
        leadfold restore /backups/leads --keys /elsewhere/leads-keys --data leadfold-data"
    )]
    Restore(RestoreArgs),
    /// Make up realistic traffic
    #[command(
        after_help = "Example:\n  leadfold generate --visitors 1000 --interactions 20000 --seed 7 -o traffic.ndjson"
    )]
    Generate(GenerateArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  leadfold completions bash > /etc/bash_completion.d/leadfold")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  leadfold man | man -l -")]
    Man,
}

impl Command {
    /// Whether it may work through millions of records.
    pub(crate) const fn moves_much(&self) -> bool {
        matches!(
            self,
            Self::Import(_)
                | Self::Serve(_)
                | Self::Verify(_)
                | Self::Repair
                | Self::Projections(_)
                | Self::Project(_)
                | Self::Replay(_)
                | Self::Prove(_)
                | Self::Heads(_)
                | Self::AsOf(_)
                | Self::Restore(_)
                | Self::WhatIf(_)
        )
    }
}

/// Which leads a policy that comes into force scores anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RescoreArg {
    /// None: its rules count for interactions from then on
    #[default]
    None,
    /// Those that are open
    Open,
}

impl From<RescoreArg> for Rescore {
    fn from(choice: RescoreArg) -> Self {
        match choice {
            RescoreArg::None => Self::None,
            RescoreArg::Open => Self::Open,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Name every fault of a policy file, without adopting it
    #[command(after_help = "Example:\n  leadfold policy check policy.toml")]
    Check {
        /// The policy (TOML)
        file: PathBuf,
    },
    /// Put a policy in force; the first one makes the tenant
    #[command(
        after_help = "Example:\n  leadfold policy adopt policy.toml\n  leadfold policy adopt policy.toml --rescore open"
    )]
    Adopt {
        /// The policy (TOML)
        file: PathBuf,
        /// Which leads to score anew, as if the policy had been in force from their start
        #[arg(long, value_enum, default_value_t)]
        rescore: RescoreArg,
    },
    /// Keep policies that are not in force yet; draft:NAME stands for one wherever a policy file is named
    #[command(
        subcommand,
        after_help = "Example:\n  leadfold policy draft save spring policy.toml\n  leadfold policy preview draft:spring"
    )]
    Draft(DraftCommand),
    /// Show how far scoring open leads anew has come, or what it came to
    #[command(after_help = "Example:\n  leadfold policy rescoring")]
    Rescoring,
    /// Score one lead by a policy, as if it had been in force from the start; changes nothing
    #[command(after_help = "Example:\n  leadfold policy try policy.toml --lead V42-1")]
    Try {
        /// The policy (TOML)
        file: PathBuf,
        /// The lead, such as V42-1
        #[arg(long)]
        lead: LeadId,
    },
    /// Score all open leads by a policy, and say what would change; changes nothing
    #[command(after_help = "Example:\n  leadfold policy preview policy.toml")]
    Preview {
        /// The policy (TOML)
        file: PathBuf,
    },
    /// Print the policy in force, or an earlier version
    #[command(after_help = "Example:\n  leadfold policy show --number 1")]
    Show {
        /// Which version; the one in force without it
        #[arg(long = "number", alias = "version", value_name = "N")]
        number: Option<u32>,
    },
    /// List all versions
    #[command(after_help = "Example:\n  leadfold policy history")]
    History,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DraftCommand {
    /// Keep a policy without faults under a name, in place of what was kept under it
    #[command(after_help = "Example:\n  leadfold policy draft save spring policy.toml\n  \
        leadfold policy preview draft:spring\n  leadfold policy adopt draft:spring --rescore open")]
    Save {
        /// a-z, 0-9, - and _
        name: String,
        /// The policy (TOML)
        file: PathBuf,
    },
    /// List the drafts
    #[command(after_help = "Example:\n  leadfold policy draft list")]
    List,
    /// Print a draft
    #[command(after_help = "Example:\n  leadfold policy draft show spring")]
    Show {
        /// Its name
        name: String,
    },
    /// Delete a draft; what was adopted stays
    #[command(after_help = "Example:\n  leadfold policy draft delete spring")]
    Delete {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting, its value and where that comes from
    #[command(
        after_help = "Flags come before the environment, that before the file, and that before defaults. In the \
        file a key is the name of an option with _ for -; options of the service stand in a table [serve].\n\n\
        Example:\n  leadfold config show --config leadfold.toml"
    )]
    Show,
}

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// Files to import in this order; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How a CSV file's columns become interactions (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct LeadArgs {
    /// The lead, such as V42-1
    pub(crate) id: LeadId,
    /// Its records: what came in and what was decided, newest first
    #[arg(long)]
    pub(crate) timeline: bool,
    /// How many records of the timeline to show
    #[arg(long, default_value_t = 50, requires = "timeline")]
    pub(crate) limit: usize,
    /// As it was: what had happened by then (RFC 3339), by all that is known
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "timeline")]
    pub(crate) as_of: Option<Time>,
    /// As it was: only what was recorded by then
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "timeline")]
    pub(crate) known_at: Option<Time>,
    /// Its score ledger: every row with what it counts for
    #[arg(long, conflicts_with = "timeline")]
    pub(crate) score: bool,
    /// Also what this rule did about each interaction, and why it gave no points
    #[arg(long, value_name = "RULE", requires = "score")]
    pub(crate) why: Option<String>,
    #[command(subcommand)]
    pub(crate) act: Option<LeadAct>,
}

/// What counts for every act.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ActArgs {
    /// When it counts as done (RFC 3339); without it the tenant's clock, as far as imports have brought it, or now for a
    /// running service
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) at: Option<Time>,
    /// The lead's version that you have seen; refused if it has changed since
    #[arg(long, value_name = "N")]
    pub(crate) if_version: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeadAct {
    /// Close it with a reason of the policy
    #[command(
        after_help = "Example:\n  leadfold lead V42-1 close --reason not_interested --note 'has bought elsewhere'"
    )]
    Close {
        /// One of the policy's close_reasons
        #[arg(long)]
        reason: String,
        /// A note beside it
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Record a sale, and close it
    #[command(after_help = "Example:\n  leadfold lead V42-1 convert --value 12900 --currency EUR --order A-1")]
    Convert {
        /// What was paid, in minor units: 12900 is 129.00 EUR
        #[arg(long, value_name = "MINOR_UNITS")]
        value: Option<i64>,
        /// ISO 4217 code [default: the policy's]
        #[arg(long, requires = "value")]
        currency: Option<String>,
        /// Units sold
        #[arg(long, default_value_t = 0)]
        rgus: u32,
        /// The order, which counts once
        #[arg(long)]
        order: Option<String>,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Take a sale back
    #[command(after_help = "Example:\n  leadfold lead V42-1 withdraw --order A-1")]
    Withdraw {
        /// Which order; the latest sale without it
        #[arg(long)]
        order: Option<String>,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Let a closed lead go on
    #[command(after_help = "Example:\n  leadfold lead V42-1 reopen")]
    Reopen {
        #[command(flatten)]
        act: ActArgs,
    },
    /// Give it another type
    #[command(after_help = "Example:\n  leadfold lead V42-1 type broadband")]
    Type {
        /// The new type
        lead_type: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Set attributes
    #[command(after_help = "Example:\n  leadfold lead V42-1 set plan=pro seats=3")]
    Set {
        /// NAME=VALUE, several allowed
        #[arg(required = true, value_name = "NAME=VALUE")]
        attributes: Vec<String>,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Write a note
    #[command(after_help = "Example:\n  leadfold lead V42-1 note 'wants to be called on Tuesday' --if-version 7")]
    Note {
        /// The text
        text: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Give it to an operator; to nobody without a name
    #[command(after_help = "Example:\n  leadfold lead V42-1 assign olga")]
    Assign {
        /// The operator's account name
        owner: Option<String>,
        #[command(flatten)]
        act: ActArgs,
    },
}

#[derive(Args, Debug)]
pub(crate) struct InteractionArgs {
    /// The interaction, such as I1042
    pub(crate) id: InteractionId,
    #[command(subcommand)]
    pub(crate) act: InteractionAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InteractionAct {
    /// Put it into another lead of the same visitor
    #[command(after_help = "Example:\n  leadfold interaction I1042 move --to V42-2")]
    Move {
        /// Where to
        #[arg(long)]
        to: LeadId,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Take its points away for good, as of a bot; it stays in its lead
    #[command(after_help = "Example:\n  leadfold interaction I1042 discredit --note \"our own monitoring\"")]
    Discredit {
        /// What there is to say about it
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        act: ActArgs,
    },
}
