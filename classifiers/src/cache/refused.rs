//! The turns that were refused before.
//!
//! A client sends the whole history back with each turn. A turn refused once would be refused for
//! ever and the conversation with it; the proxy asks here and splices such turns out.

use super::Salt;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use portcullis_text::Content;
use std::fmt;

/// Sets a refused turn's MAC apart from a verdict's.
const PURPOSE: u8 = 2;
/// The same for a turn with all that the person said before it.
const HISTORY_PURPOSE: u8 = 3;

/// What a person has said so far in a conversation, as a MAC; says nothing without the salt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said([u8; 32]);

impl Said {
    /// The same and one turn more.
    #[must_use]
    pub fn then(&self, salt: &Salt, turn: &Content) -> Self {
        Self(salt.mac(HISTORY_PURPOSE, &[&self.0, turn.expose().as_bytes()]))
    }
}

/// The user turns that were refused, as MACs under their subject's or conversation's salt.
///
/// Bounded by a count; when it is full the turn not asked about for longest is dropped, and then
/// counts as never seen: it is screened like any other, so that overflow blocks and never passes.
pub struct RefusedTurns(Cache<[u8; 32], (), rustc_hash::FxBuildHasher>);

impl fmt::Debug for RefusedTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusedTurns({} turns)", self.0.entry_count())
    }
}

impl RefusedTurns {
    /// Remembers up to `capacity` turns, at about 200 bytes each.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let builder = Cache::builder()
            .max_capacity(capacity)
            // The newest refusal is the one that comes back next: it is always let in.
            .eviction_policy(EvictionPolicy::lru());
        Self(builder.build_with_hasher(rustc_hash::FxBuildHasher))
    }

    /// Remembers that this turn was refused.
    pub fn remember(&self, salt: &Salt, turn: &Content) {
        self.0.insert(mac(salt, turn), ());
    }

    /// Remembers that the last turn of this was refused after the others. By itself, or after
    /// others, it may be harmless.
    pub fn remember_here(&self, said: &Said) {
        self.0.insert(said.0, ());
    }

    /// Whether the last turn of this was refused after the others.
    #[must_use]
    pub fn was_refused_here(&self, said: &Said) -> bool {
        self.0.get(&said.0).is_some()
    }

    /// Whether this very turn was refused before.
    #[must_use]
    pub fn was_refused(&self, salt: &Salt, turn: &Content) -> bool {
        self.0.get(&mac(salt, turn)).is_some()
    }
}

fn mac(salt: &Salt, turn: &Content) -> [u8; 32] {
    salt.mac(PURPOSE, &[turn.expose().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::super::Salts;
    use super::*;

    #[test]
    fn a_refused_turn_is_known_to_its_own_conversation_until_it_is_forgotten() {
        let (salts, turns) = (Salts::new().unwrap(), RefusedTurns::new(8));
        let turn = Content::from("the turn");
        let ann = salts.salt_for(1, Some("ann"));
        turns.remember(&ann, &turn);
        assert!(turns.was_refused(&ann, &turn));
        assert!(!turns.was_refused(&ann, &"The turn".into()));
        assert!(!turns.was_refused(&salts.salt_for(1, Some("bob")), &turn));
        assert!(!turns.was_refused(&salts.salt_for(2, Some("ann")), &turn));
        salts.forget(1, "ann");
        assert!(!turns.was_refused(&salts.salt_for(1, Some("ann")), &turn));
    }

    #[test]
    fn a_turn_refused_after_others_is_known_after_these_only() {
        let (salts, turns) = (Salts::new().unwrap(), RefusedTurns::new(8));
        let salt = salts.salt_for(1, Some("ann"));
        let said = |salt: &Salt, texts: &[&str]| {
            let said = Said::default();
            texts
                .iter()
                .fold(said, |said, text| said.then(salt, &(*text).into()))
        };
        turns.remember_here(&said(&salt, &["one", "two"]));
        assert!(turns.was_refused_here(&said(&salt, &["one", "two"])));
        let others: [&[&str]; 5] = [
            &["two"],
            &["one"],
            &["two", "one"],
            &["onetwo"],
            &["one", "one", "two"],
        ];
        for other in others {
            assert!(!turns.was_refused_here(&said(&salt, other)), "{other:?}");
        }
        assert!(!turns.was_refused(&salt, &"two".into()));
        let bob = salts.salt_for(1, Some("bob"));
        assert!(!turns.was_refused_here(&said(&bob, &["one", "two"])));
    }

    #[test]
    fn when_full_the_oldest_refusal_is_dropped_and_the_newest_kept() {
        let (salts, turns) = (Salts::new().unwrap(), RefusedTurns::new(4));
        let salt = salts.salt_for(1, None);
        let turn = |turn_idx: usize| Content::from(format!("turn {turn_idx}"));
        for turn_idx in 0..64 {
            turns.remember(&salt, &turn(turn_idx));
            turns.0.run_pending_tasks();
        }
        assert!(turns.was_refused(&salt, &turn(63)));
        assert!(!turns.was_refused(&salt, &turn(0)));
        assert!(turns.0.entry_count() <= 4);
    }
}
