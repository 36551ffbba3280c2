//! The verdict cache: scores of texts that the same tenant and person had scored before.

use super::Salt;
use crate::classifier::{Identity, Unit};
use moka::sync::Cache;
use portcullis_text::{Content, Scores, Surface, Vectors, View, canonical};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Sets a verdict's MAC apart from those of contexts and refused turns.
const PURPOSE: u8 = 0;
/// The same for the digest of a context.
const CONTEXT_PURPOSE: u8 = 1;
/// What an entry costs besides its windows: key, value and moka's own bookkeeping.
const ENTRY_BYTES: usize = 256;

/// Where an entry stands; says nothing about the text without the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// What is asked of the cache: everything that a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who would score it.
    pub classifier: &'a Identity,
    /// Where the text stands.
    pub surface: Surface,
    /// A whole text or a window of a stream.
    pub unit: Unit,
    /// The context's digest, from [`VerdictCache::context_digest`]; `None` without a context.
    pub context: Option<[u8; 32]>,
    /// The text, raw.
    pub text: &'a Content,
}

/// One scored window of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedWindow {
    /// Bytes of the text, from its own beginning.
    pub range: Range<usize>,
    /// The view with the highest score.
    pub view: View,
    /// Its scores.
    pub scores: Scores,
    /// The ways round a guard that were seen in it.
    pub vectors: Vectors,
}

/// Scores by salted MAC. Holds no text.
///
/// Bounded by bytes; when it is full the entries asked for least are evicted, and their texts are
/// scored anew.
pub struct VerdictCache(Cache<Key, Arc<[CachedWindow]>, rustc_hash::FxBuildHasher>);

impl fmt::Debug for VerdictCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerdictCache({} entries)", self.0.entry_count())
    }
}

impl VerdictCache {
    /// Holds up to about `capacity_bytes` of keys and scores.
    #[must_use]
    pub fn new(capacity_bytes: u64) -> Self {
        let builder = Cache::builder()
            .max_capacity(capacity_bytes)
            .weigher(weight);
        Self(builder.build_with_hasher(rustc_hash::FxBuildHasher))
    }

    /// The digest of a context, made once for all texts that share it.
    #[must_use]
    pub fn context_digest(salt: &Salt, context: &Content) -> [u8; 32] {
        salt.mac(CONTEXT_PURPOSE, &[context.expose().as_bytes()])
    }

    /// Where the verdict asked for would stand.
    #[must_use]
    pub fn key(salt: &Salt, asked: &Asked<'_>) -> Key {
        let classifier = asked.classifier;
        let fields = [
            classifier.detector.name(),
            &classifier.digest,
            canonical::VERSION,
        ];
        let lens = fields.map(|field| (field.len() as u64).to_le_bytes());
        let unit = match asked.unit {
            Unit::Text => 0,
            Unit::StreamWindow => 1,
        };
        let surface = u8::try_from(asked.surface.index()).unwrap_or(u8::MAX);
        let place = [surface, unit, u8::from(asked.context.is_some())];
        let context = asked.context.as_ref().map_or(&[][..], |digest| digest);
        let pieces = [
            lens.as_flattened(),
            fields[0].as_bytes(),
            fields[1].as_bytes(),
            fields[2].as_bytes(),
            &place,
            context,
            // The text comes last, so that no other field can be mistaken for a part of it.
            asked.text.expose().as_bytes(),
        ];
        Key(salt.mac(PURPOSE, &pieces))
    }

    /// The windows stored there.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<[CachedWindow]>> {
        self.0.get(key)
    }

    /// Stores the windows of one text.
    pub fn insert(&self, key: Key, windows: Vec<CachedWindow>) {
        self.0.insert(key, windows.into());
    }
}

fn weight(_: &Key, windows: &Arc<[CachedWindow]>) -> u32 {
    let bytes = ENTRY_BYTES + size_of::<CachedWindow>() * windows.len();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::Salts;
    use super::*;
    use portcullis_text::Detector;

    fn classifier(digest: &str) -> Identity {
        Identity {
            detector: Detector::Linear,
            model: "m".into(),
            digest: digest.into(),
        }
    }

    fn key(salt: &Salt, classifier: &Identity, text: &Content) -> Key {
        let (surface, unit) = (Surface::User, Unit::Text);
        VerdictCache::key(
            salt,
            &Asked {
                classifier,
                surface,
                unit,
                context: None,
                text,
            },
        )
    }

    fn windows() -> Vec<CachedWindow> {
        vec![CachedWindow {
            range: 0..4,
            view: View::Raw,
            vectors: Vectors::NONE,
            scores: Scores::ZERO,
        }]
    }

    #[test]
    fn no_tenant_or_person_ever_hits_anothers_entry() {
        let (salts, cache) = (Salts::new().unwrap(), VerdictCache::new(1 << 24));
        let classifier = classifier("d");
        let texts: Vec<Content> = (0..100).map(|idx| format!("text {idx}").into()).collect();
        let owners: Vec<_> = [None, Some("ann"), Some("bob")]
            .into_iter()
            .flat_map(|who| (0..20).map(move |tenant| (tenant, who)))
            .collect();
        let (mut cross_hits, mut own_hits) = (0, 0);
        for (tenant, who) in owners {
            let salt = salts.salt_for(tenant, who);
            for text in &texts {
                let key = key(&salt, &classifier, text);
                cross_hits += usize::from(cache.get(&key).is_some());
                cache.insert(key, windows());
                own_hits += usize::from(cache.get(&key).is_some());
            }
        }
        assert_eq!((cross_hits, own_hits), (0, 6000));
    }

    #[test]
    fn another_model_or_a_forgotten_person_misses() {
        let (salts, cache) = (Salts::new().unwrap(), VerdictCache::new(1 << 20));
        let text = Content::from("text");
        let salt = salts.salt_for(1, Some("ann"));
        cache.insert(key(&salt, &classifier("d"), &text), windows());
        assert!(cache.get(&key(&salt, &classifier("d"), &text)).is_some());
        assert!(cache.get(&key(&salt, &classifier("e"), &text)).is_none());
        salts.forget(1, "ann");
        let salt = salts.salt_for(1, Some("ann"));
        assert!(cache.get(&key(&salt, &classifier("d"), &text)).is_none());
    }

    #[test]
    fn overflow_evicts_down_to_the_capacity() {
        let (salts, cache) = (Salts::new().unwrap(), VerdictCache::new(8 << 10));
        let (salt, classifier) = (salts.salt_for(1, None), classifier("d"));
        for idx in 0..500 {
            cache.insert(
                key(&salt, &classifier, &format!("text {idx}").into()),
                windows(),
            );
        }
        cache.0.run_pending_tasks();
        let held = cache.0.weighted_size();
        assert!(0 < held && held <= 8 << 10, "{held} bytes held");
    }
}
