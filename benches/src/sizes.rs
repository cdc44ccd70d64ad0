//! How the cost of a question grows with the number of leads: time and memory of each, at several sizes, in one table.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::models::questions::{self, Question};
use crate::models::{PAGE_READINGS, REPORT_READINGS, read};
use crate::page::percentile;
use crate::running::{Running, new_folder};
use crate::{Args, import};

/// What one question took at one size.
struct Cost {
    name: String,
    /// Milliseconds, over HTTP.
    half: f64,
    slowest: f64,
    /// What the service's memory grew by at most while it was asked.
    mebibytes: f64,
}

/// A size, and what each question took there.
struct Size {
    leads: u64,
    costs: Vec<Cost>,
}

pub(crate) fn measure(args: &Args, folder: &Path) -> anyhow::Result<()> {
    let mut sizes = Vec::new();
    for leads in &args.sizes {
        let traffic = folder.join("sized.ndjson");
        import::generate(&args.leadfold, &traffic, leads.saturating_mul(3) / 5, leads.saturating_mul(args.per_lead))?;
        let size = at(args, &traffic)?;
        println!();
        sizes.push(size);
        std::fs::remove_file(&traffic).context("cannot remove the traffic")?;
    }
    print_table(&sizes);
    Ok(())
}

fn at(args: &Args, traffic: &Path) -> anyhow::Result<Size> {
    let data = new_folder(args)?;
    for verb in [&["import"][..], &["projections", "rebuild", "analytics"]] {
        let mut command = Command::new(&args.leadfold);
        command.arg("--data").arg(data.path()).args(verb).stdout(Stdio::null());
        if *verb == ["import"] {
            command.arg(traffic);
        }
        ensure!(command.status().context("cannot start the program")?.success(), "cannot {}", verb.join(" "));
    }
    let service = Running::serve(args, data, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask_all(&service))
}

async fn ask_all(service: &Running) -> anyhow::Result<Size> {
    let (leads, questions) = questions::all(service).await?;
    service.at_rest().await?;
    println!("{leads} leads; the service holds {:.0} MiB", service.memory()?);
    println!("question | p50 ms | p99 ms | MiB");
    let mut costs = Vec::new();
    for question in &questions {
        let cost = ask(service, question).await?;
        println!("{} | {:.1} | {:.1} | {:.0}", cost.name, cost.half, cost.slowest, cost.mebibytes);
        costs.push(cost);
    }
    Ok(Size { leads, costs })
}

async fn ask(service: &Running, question: &Question) -> anyhow::Result<Cost> {
    let before = service.memory()?;
    service.forget_peak()?;
    let times = read(service, question, if question.is_page { PAGE_READINGS } else { REPORT_READINGS }).await?;
    let (_, peak) = service.used();
    Ok(Cost {
        name: question.name.clone(),
        half: percentile(&times, 50),
        slowest: percentile(&times, 99),
        mebibytes: (peak - before).max(0.0),
    })
}

/// One line a question; three columns a size.
fn print_table(sizes: &[Size]) {
    let heads = sizes.iter().map(|size| format!("{} leads: p50 ms | p99 ms | MiB", size.leads));
    println!("question | {}", heads.collect::<Vec<_>>().join(" | "));
    let names = sizes.iter().max_by_key(|size| size.costs.len()).map(|size| size.costs.iter().map(|cost| &cost.name));
    for name in names.into_iter().flatten() {
        let cells = sizes.iter().map(|size| {
            let cost = size.costs.iter().find(|cost| cost.name == *name);
            cost.map_or("- | - | -".to_owned(), |it| {
                format!("{:.1} | {:.1} | {:.0}", it.half, it.slowest, it.mebibytes)
            })
        });
        println!("{name} | {}", cells.collect::<Vec<_>>().join(" | "));
    }
}
