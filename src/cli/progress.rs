//! Progress on stderr: one bar per run at work, one for the plan; plain lines where stderr is no terminal.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::output;
use crate::digest::Digest;
use crate::engine::plan::Run;
use crate::engine::{Event, Progress};

/// How often a plain line says how far it is.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// Draws what an execution tells.
pub(super) struct Bars {
    quiet: bool,
    drawn: Option<MultiProgress>,
    state: Mutex<State>,
}

struct State {
    total: Option<ProgressBar>,
    runs: BTreeMap<Digest, ProgressBar>,
    missing: usize,
    finished: usize,
    last_line: Instant,
}

impl Bars {
    /// Bars on a terminal, sparse lines elsewhere, nothing when quiet (but what went wrong).
    pub(super) fn new(quiet: bool) -> Self {
        let state =
            State { total: None, runs: BTreeMap::new(), missing: 0, finished: 0, last_line: Instant::now() };
        Bars { quiet, drawn: output::bars(quiet).then(MultiProgress::new), state: Mutex::new(state) }
    }

    /// Prints a line without breaking the bars.
    fn line(&self, line: &str) {
        match &self.drawn {
            Some(bars) => drop(bars.println(line)),
            None => output::note(line),
        }
    }
}

fn label(run: &Run) -> String {
    format!("{} seed {}", run.name, run.seed)
}

pub(super) fn style(template: &str) -> ProgressStyle {
    // A template that does not parse would be a bug; the default bar then does.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planned { stored, missing } => {
                state.missing = missing;
                if missing > 0 && !self.quiet {
                    self.line(&format!("{missing} runs to train, {stored} in the store"));
                }
                if let Some(bars) = self.drawn.as_ref().filter(|_| missing > 0) {
                    let bar = bars.add(ProgressBar::new(missing as u64));
                    bar.set_style(style("{bar:30} {pos}/{len} runs, {elapsed} elapsed, {eta} left"));
                    bar.enable_steady_tick(Duration::from_millis(500));
                    state.total = Some(bar);
                }
            }
            Event::Waiting { run } => {
                self.line(&format!("{}: another process trains it; waiting", label(run)))
            }
            Event::Started { run, steps_per_epoch, epochs, next_epoch } => {
                if let Some(bars) = &self.drawn {
                    let bar = bars.add(ProgressBar::new((steps_per_epoch * epochs) as u64));
                    bar.set_style(style("  {msg:36} {bar:20} {pos}/{len} steps, {per_sec}, {eta} left"));
                    bar.set_message(label(run));
                    bar.set_position((steps_per_epoch * (next_epoch - 1)) as u64);
                    bar.reset_eta();
                    state.runs.insert(run.key, bar);
                }
            }
            Event::Step { run } => {
                if let Some(bar) = state.runs.get(&run.key) {
                    bar.inc(1);
                }
            }
            Event::Epoch { run, report } => {
                if self.drawn.is_none() && !self.quiet && state.last_line.elapsed() > PLAIN_EVERY {
                    state.last_line = Instant::now();
                    self.line(&format!(
                        "{}/{} runs; {}: epoch {}, loss {:.4}",
                        state.finished,
                        state.missing,
                        label(run),
                        report.epoch,
                        report.train_loss
                    ));
                }
            }
            Event::Finished { run, .. } => {
                state.finished += 1;
                if let Some(bar) = state.runs.remove(&run.key) {
                    bar.finish_and_clear();
                }
                if let Some(total) = &state.total {
                    total.inc(1);
                    if state.finished == state.missing {
                        total.finish_and_clear();
                    }
                }
            }
            Event::Failed { run, error } => self.line(&format!("{} failed: {error}", label(run))),
            Event::Quarantined { run, reason, to } => self.line(&format!(
                "warning: {reason}\n         moved to quarantine ({}); {} is trained again",
                to.display(),
                label(run)
            )),
        }
    }
}
