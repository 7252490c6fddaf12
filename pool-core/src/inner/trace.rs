//! Which span and which calls some uses of connections come from, for whoever asks who holds one.

use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::Record;
use crate::policy::random::Random;

/// Where one use comes from.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// Which use of its connection, counted from 1.
    number: u64,
    pub(crate) span: Option<u64>,
    pub(crate) backtrace: Option<Arc<Backtrace>>,
}

/// The traces of one pool: at most one for each connection.
#[derive(Debug)]
pub(crate) struct Traces(Mutex<State>);

#[derive(Debug)]
struct State {
    /// By the number of the connection.
    kept: HashMap<u64, Trace>,
    random: Random,
}

impl Traces {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            kept: HashMap::new(),
            random: Random::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps where the use that has just begun comes from: its span if there is one, and of a
    /// `share` of the uses the backtrace.
    #[cold]
    pub(crate) fn keep(&self, record: &Record, share: f64) {
        let span = tracing::Span::current().id().map(|id| id.into_u64());
        let is_chosen = share > 0.0 && self.state().random.unit() < share;
        if span.is_none() && !is_chosen {
            return;
        }
        let trace = Trace {
            number: record.uses(),
            span,
            backtrace: is_chosen.then(|| Arc::new(Backtrace::force_capture())),
        };
        self.state().kept.insert(record.id, trace);
    }

    /// Where the present use of a connection comes from, if that was kept.
    pub(crate) fn of(&self, record: &Record) -> Option<Trace> {
        let state = self.state();
        let trace = state.kept.get(&record.id)?;
        (trace.number == record.uses()).then(|| trace.clone())
    }

    /// The connection is gone.
    pub(crate) fn forget(&self, record: &Record) {
        self.state().kept.remove(&record.id);
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, Traces};

    fn has_backtrace(traces: &Traces, record: &Record) -> bool {
        let trace = traces.of(record);
        trace.is_some_and(|trace| trace.backtrace.is_some())
    }

    #[test]
    fn of_a_share_of_the_uses_the_backtrace_is_kept() {
        const USES: usize = if cfg!(miri) { 16 } else { 64 };
        let traces = Traces::new();
        let kept = |share| {
            let records = (0..).take(USES).map(|id| Record::new(id, 0, 0));
            let chosen = records.filter(|record| {
                traces.keep(record, share);
                has_backtrace(&traces, record)
            });
            chosen.count()
        };
        assert_eq!(kept(0.0), 0);
        assert!((1..USES).contains(&kept(0.5)), "each by chance");
        assert_eq!(kept(1.0), USES);
    }

    #[test]
    fn of_a_connection_that_is_gone_nothing_is_kept() {
        let (traces, record) = (Traces::new(), Record::new(1, 0, 0));
        traces.keep(&record, 1.0);
        assert!(has_backtrace(&traces, &record));
        traces.forget(&record);
        assert!(traces.of(&record).is_none());
    }
}
