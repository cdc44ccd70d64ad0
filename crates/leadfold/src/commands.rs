//! The commands, one module each.

mod act;
mod analytics;
mod as_of;
mod backup;
mod config;
mod drafts;
mod duplicates;
mod explain;
mod export;
mod exports;
mod feed;
mod funnel;
pub(crate) mod heads;
mod import;
mod kept_drafts;
mod keys;
mod lead;
mod leads;
mod nurture;
mod orphans;
mod policy;
mod project;
mod projections;
mod prove;
mod quarantine;
mod recount;
mod replay;
mod rescoring;
mod rows;
mod score;
mod sql;
mod suppress;
mod timeline;
mod verify;
mod visitor;
mod what_if;

use std::io::{BufWriter, Write};

use clap::CommandFactory;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::config::Configuration;
use crate::settings::Settings;

/// Runs one command to its end.
pub(crate) fn run(command: &Command, settings: &Settings, configuration: &Configuration) -> anyhow::Result<()> {
    match command {
        Command::Policy(command) => policy::run(command, settings),
        Command::Import(args) => import::run(args, settings),
        Command::Leads(args) => leads::run(args, settings),
        Command::Lead(args) => lead::run(args, settings),
        Command::Orphans(args) => orphans::run(args, settings),
        Command::Orphan(args) => orphans::act(args, settings),
        Command::Interaction(args) => orphans::act_on_interaction(args, settings),
        Command::Suppress(args) => suppress::suppress(args, settings),
        Command::Unsuppress(args) => suppress::unsuppress(args, settings),
        Command::Suppressions(args) => suppress::list(args, settings),
        Command::Duplicates(args) => duplicates::run(args, settings),
        Command::Visitor(args) => visitor::run(args, settings),
        Command::Quarantine(args) => quarantine::run(args, settings),
        Command::Analytics(args) => analytics::run(args, settings),
        Command::Funnel(args) => funnel::run(args, settings),
        Command::Sql(args) => sql::run(args, settings),
        Command::Export(what) => exports::run(what, settings),
        Command::Projections(args) => projections::run(args, settings),
        Command::Project(args) => project::run(args, settings),
        Command::Serve(args) => crate::serve::run(args, settings),
        Command::Feed(command) => feed::run(command, settings),
        Command::Keys(command) => keys::run(command, settings),
        Command::Config(ConfigCommand::Show) => config::show(configuration, settings),
        Command::Verify(args) => verify::run(args, settings),
        Command::Replay(args) => replay::run(args, settings),
        Command::WhatIf(args) => what_if::run(args, settings),
        Command::Backup(args) => backup::run(args, settings),
        Command::Restore(args) => backup::restore(args, settings),
        Command::Explain(args) => explain::run(args, settings),
        Command::AsOf(args) => as_of::run(args, settings),
        Command::Prove(args) => prove::run(args, settings),
        Command::Heads(args) => heads::run(args, settings),
        Command::Repair => verify::repair(settings),
        Command::Generate(args) => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            let summary = crate::generate::run(args, &mut out)?;
            out.flush()?;
            eprintln!("{summary}");
            Ok(())
        }
        Command::Completions { shell } => {
            // The generator panics where it can't write, as into a pipe that was closed.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "leadfold", &mut script);
            Ok(std::io::stdout().write_all(&script)?)
        }
        Command::Man => Ok(clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?),
    }
}
