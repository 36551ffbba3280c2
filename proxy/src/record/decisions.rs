//! The last decisions, for `/v1/guard/decisions/{id}`.

use crate::record::Record;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Decisions kept; the oldest go first.
const KEPT: usize = 4096;

/// How long a decision can be asked for.
const FOR: Duration = Duration::from_secs(3600);

/// The last decisions in order. Keeping one is a push; finding one walks them, for it is rare.
#[derive(Debug, Default)]
pub(super) struct Decisions(Mutex<VecDeque<(Instant, Arc<Record>)>>);

impl Decisions {
    pub(super) fn keep(&self, record: Arc<Record>, now: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let evicted = if kept.len() < KEPT {
            None
        } else {
            kept.pop_front()
        };
        kept.push_back((now, record));
        drop(kept);
        // Freed after the lock is.
        drop(evicted);
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Record>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = kept
            .iter()
            .rev()
            .take_while(|(since, _)| since.elapsed() < FOR);
        let mut records = fresh.map(|(_, record)| record);
        records.find(|record| record.id == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_decisions_go_first() {
        let decisions = Decisions::default();
        for number in 0..=KEPT {
            let record = Record {
                id: number.to_string(),
                ..Record::default()
            };
            decisions.keep(Arc::new(record), Instant::now());
        }
        assert!(decisions.find("0").is_none());
        assert!(decisions.find("1").is_some());
        assert!(decisions.find(&KEPT.to_string()).is_some());
    }
}
