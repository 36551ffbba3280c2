//! Windows that were scored before for the same person: a long text that grows is not read anew.

use crate::cache::Salt;
use moka::sync::Cache;
use std::fmt;
use std::sync::Arc;

/// Sets a window's MAC apart from those of verdicts, contexts and refused turns.
const PURPOSE: u8 = 3;
/// What an entry costs besides its logits.
const ENTRY_BYTES: usize = 160;

/// Logits by the salted MAC of a window's tokens. Holds no text and no tokens.
///
/// Bounded by bytes; when it is full the windows asked for least are scored anew.
pub(super) struct KnownWindows {
    digest: String,
    logits: Cache<[u8; 32], Arc<[f32]>, rustc_hash::FxBuildHasher>,
}

impl fmt::Debug for KnownWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownWindows({})", self.logits.entry_count())
    }
}

impl KnownWindows {
    /// For a model, by its digest.
    pub(super) fn new(digest: &str, capacity_bytes: u64) -> Self {
        let weight = |_: &[u8; 32], logits: &Arc<[f32]>| {
            u32::try_from(ENTRY_BYTES + size_of_val::<[f32]>(logits)).unwrap_or(u32::MAX)
        };
        let builder = Cache::builder()
            .max_capacity(capacity_bytes)
            .weigher(weight);
        Self {
            digest: digest.to_owned(),
            logits: builder.build_with_hasher(rustc_hash::FxBuildHasher),
        }
    }

    pub(super) fn key(&self, salt: &Salt, ids: &[u32]) -> [u8; 32] {
        let ids: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        salt.mac(PURPOSE, &[self.digest.as_bytes(), &ids])
    }

    pub(super) fn get(&self, key: &[u8; 32]) -> Option<Arc<[f32]>> {
        self.logits.get(key)
    }

    pub(super) fn insert(&self, key: [u8; 32], logits: &[f32]) {
        self.logits.insert(key, logits.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Salts;

    #[test]
    fn a_window_is_known_to_its_own_person_and_model_alone() {
        let (salts, known) = (Salts::new().unwrap(), KnownWindows::new("m", 1 << 20));
        let (ann, bob) = (
            salts.salt_for(1, Some("ann")),
            salts.salt_for(1, Some("bob")),
        );
        known.insert(known.key(&ann, &[1, 2]), &[0.5]);
        assert_eq!(
            known.get(&known.key(&ann, &[1, 2])).as_deref(),
            Some(&[0.5][..])
        );
        assert!(known.get(&known.key(&ann, &[1, 2, 0])).is_none());
        assert!(known.get(&known.key(&bob, &[1, 2])).is_none());
        let other = KnownWindows::new("n", 1 << 20);
        assert!(known.get(&other.key(&ann, &[1, 2])).is_none());
    }
}
