//! The thread that owns the engine: decides about what was decoded, lets time pass, and stops when storage fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use engine::{Engine, EngineError, Outcome, Tenant};
use feed::{Entry, TenantRules};
use lead_domain::{Period, Time};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::answers::Completion;
use crate::command::{Asked, CommandError};
use crate::decode::{DecoderSource, reason};
use crate::handle::{Fed, Shared};
use crate::input::{EventReceipt, Receipt};

/// How long open leads are scored anew before the next job has its turn.
const RESCORE_TURN: Duration = Duration::from_millis(20);

/// Something to do with the engine.
pub(crate) type Task = Box<dyn FnOnce(&mut Engine) + Send>;

/// One thing for the engine to do.
pub(crate) enum Job {
    Inputs(Decoded),
    Task(Task),
}

impl Job {
    pub(crate) fn may_change_policies(&self) -> bool {
        match self {
            Self::Inputs(decoded) => decoded.steps.iter().any(Step::may_change_policies),
            Self::Task(_) => false,
        }
    }
}

/// Inputs that were read.
pub(crate) struct Decoded {
    pub(crate) steps: Vec<Step>,
    pub(crate) fed: Option<Fed>,
    /// When the last of them was received.
    pub(crate) received: Option<Time>,
    pub(crate) answer: Option<oneshot::Sender<Vec<Receipt>>>,
    pub(crate) room: OwnedSemaphorePermit,
}

/// A run of inputs of one kind.
pub(crate) enum Step {
    Entries(Vec<Entry>),
    Command(Box<Asked>),
    /// A command of a caller who waits for the answer.
    Malformed(CommandError),
}

impl Step {
    fn may_change_policies(&self) -> bool {
        match self {
            Self::Command(asked) => asked.may_change_policies(),
            Self::Entries(_) | Self::Malformed(_) => false,
        }
    }
}

/// The thread's state.
pub(crate) struct Decider {
    pub(crate) engine: Engine,
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: DecoderSource,
    pub(crate) completions: Sender<Completion>,
    pub(crate) renewed: Sender<Vec<TenantRules>>,
    pub(crate) failed: Arc<AtomicBool>,
    /// When the feed's last input was received, of those decided about.
    pub(crate) received: Option<Time>,
}

impl Decider {
    /// Decides until nothing more can come, then brings everything to rest.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) -> Result<(), EngineError> {
        let every = self.shared.options.tick_every;
        let mut ticked = Instant::now();
        loop {
            // What is under way goes on between two jobs, and doesn't wait for the next one.
            let patience = if self.engine.is_rescoring() { Duration::ZERO } else { every };
            match jobs.recv_timeout(patience) {
                Ok(job) => self.take(job)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.failed.load(Ordering::Acquire) {
                // Flushing gives the reason.
                self.engine.flush()?;
            }
            if ticked.elapsed() >= every {
                self.tick()?;
                ticked = Instant::now();
            }
            self.tell_erasures();
            self.rescore()?;
        }
        self.engine.flush()?;
        self.engine.settle()
    }

    fn take(&mut self, job: Job) -> Result<(), EngineError> {
        let decoded = match job {
            Job::Inputs(decoded) => decoded,
            Job::Task(task) => {
                task(&mut self.engine);
                return Ok(());
            }
        };
        let may_change_policies = decoded.steps.iter().any(Step::may_change_policies);
        let mut receipts = Vec::new();
        for step in decoded.steps {
            match step {
                Step::Entries(entries) => self.accept(entries, &mut receipts)?,
                Step::Command(asked) => {
                    receipts.push(Receipt::Command(asked.carry_out(&mut self.engine, &self.source)?));
                }
                Step::Malformed(error) => receipts.push(Receipt::Command(Err(error))),
            }
        }
        if let Some(fed) = &decoded.fed {
            self.received = decoded.received;
            self.shared.pace.decided(fed.more);
        }
        self.engine.commit(decoded.fed.map(|fed| fed.watermark))?;
        if may_change_policies {
            // Nobody is shown a policy, or decoded by one, that a crash could take back.
            self.engine.flush()?;
            self.shared.renew_tenants(&self.engine);
            // The decoder waits for them; it has gone only when everything ends.
            let _ = self.renewed.send(self.engine.tenants().iter().map(Tenant::rules).collect());
        }
        let position = self.engine.decided();
        let completion = Completion { position, answer: decoded.answer, receipts, room: decoded.room };
        // The thread that answers ends before this one only when writing has failed, which is found out above.
        let _ = self.completions.send(completion);
        Ok(())
    }

    fn accept(&mut self, entries: Vec<Entry>, receipts: &mut Vec<Receipt>) -> Result<(), EngineError> {
        let mut reasons: Vec<_> = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            if let Some(reason) = reason(entry) {
                reasons.push((place, reason));
            }
        }
        let outcomes = self.engine.accept(entries)?;
        let mut reasons = reasons.into_iter().peekable();
        let mut counts = [0_u64; 5];
        for (place, outcome) in outcomes.into_iter().enumerate() {
            let reason = reasons.next_if(|(of, _)| *of == place).map(|(_, reason)| reason);
            let kind = match outcome {
                Outcome::Recorded(_) => 0,
                Outcome::Duplicate(_) => 1,
                Outcome::Conflict(_) => 2,
                Outcome::Quarantined(_) => 3,
                Outcome::Suppressed => 4,
            };
            if let Some(count) = counts.get_mut(kind) {
                *count += 1;
            }
            receipts.push(Receipt::Event(EventReceipt { outcome, reason }));
        }
        let results = ["recorded", "duplicate", "conflict", "quarantined", "suppressed"];
        for (result, count) in results.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            metrics::counter!("leadfold_engine_inputs_total", "result" => result).increment(count);
        }
        Ok(())
    }

    /// Tells whoever holds what was opened that somebody was erased.
    fn tell_erasures(&self) {
        let erased = self.engine.counts().erased;
        self.shared.erasures.send_if_modified(|known| std::mem::replace(known, erased) != erased);
    }

    /// Scores some more open leads anew, where that is under way.
    fn rescore(&mut self) -> Result<(), EngineError> {
        for (tenant, ended) in self.engine.rescore(RESCORE_TURN)? {
            let tenant = self.engine.tenants().iter().find(|known| known.id == tenant);
            tracing::info!(
                tenant = tenant.map(|tenant| tenant.name.as_str()),
                policy_version = ended.policy_version,
                leads = ended.leads,
                changed = ended.changed,
                took_ms = ended.took.map(Period::as_millis),
                "open leads are scored anew"
            );
        }
        Ok(())
    }

    /// Lets every tenant's time pass, as far as its policy's lateness allows. A tick that closes nothing is no record.
    fn tick(&mut self) -> Result<(), EngineError> {
        let now = self.shared.options.clock.now();
        let Some(now) = self.shared.pace.until(now, self.received) else { return Ok(()) };
        let tenants: Vec<_> =
            self.engine.tenants().iter().map(|tenant| (tenant.id, now.before(tenant.policy().lateness))).collect();
        for (tenant, at) in tenants {
            if self.engine.is_due(tenant, at)? {
                self.engine.tick(tenant, at)?;
                self.engine.commit(None)?;
            }
        }
        Ok(())
    }
}
