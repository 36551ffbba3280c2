//! Whose memory it is: the keys under which cache entries are found, and forgotten.
//!
//! A salt is derived from a key that only this process has, the tenant, and the subject or the
//! conversation. Two tenants never share a salt, so an entry of one cannot be found by the other.

use blake3::Hasher;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of the forgetting table: 512 KiB, so that one `forget` meets another's slot with a chance
/// of 1 in 65,536.
const N_SLOTS: usize = 1 << 16;

/// Bytes up to which pieces are hashed in one go.
const AT_ONCE: usize = 1024;

/// The key of one person's or one conversation's entries. Printed as nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

impl Salt {
    /// For requests that do not use a cache.
    pub(crate) const UNCACHED: Self = Self([0; 32]);

    /// The MAC of some pieces under this salt, apart from those of all other `purpose`s.
    pub(crate) fn mac(&self, purpose: u8, pieces: &[&[u8]]) -> [u8; 32] {
        keyed(&self.0, &[purpose], pieces)
    }
}

/// A keyed hash of pieces put one after the other. Short ones are hashed in one go: a hasher that
/// can take any number of bytes costs more than their few blocks.
fn keyed(key: &[u8; 32], first: &[u8], rest: &[&[u8]]) -> [u8; 32] {
    let mut all = [0; AT_ONCE];
    let mut len = 0;
    let pieces = || std::iter::once(&first).chain(rest);
    for piece in pieces() {
        let end = len + piece.len();
        let Some(room) = all.get_mut(len..end) else {
            let mut hasher = Hasher::new_keyed(key);
            for piece in pieces() {
                hasher.update(piece);
            }
            return *hasher.finalize().as_bytes();
        };
        room.copy_from_slice(piece);
        len = end;
    }
    *blake3::keyed_hash(key, &all[..len]).as_bytes()
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes for the cache's key")]
pub struct NoRandomness(#[source] getrandom::Error);

/// Makes salts, and forgets them.
///
/// Memory is 512 KiB whatever the number of subjects. Forgetting changes the generation of one slot
/// of a fixed table, so it cannot overflow; somebody else in the same slot (1 in 65,536) is
/// forgotten too, which costs them fresh scoring and nothing else.
pub struct Salts {
    process: [u8; 32],
    generations: Box<[AtomicU64]>,
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts")
    }
}

impl Salts {
    /// Takes a fresh key from the operating system; entries of other processes stay unreachable.
    ///
    /// # Errors
    /// [`NoRandomness`] when there are no random bytes.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut process = [0; 32];
        getrandom::fill(&mut process).map_err(NoRandomness)?;
        let generations = std::iter::repeat_with(AtomicU64::default)
            .take(N_SLOTS)
            .collect();
        Ok(Self {
            process,
            generations,
        })
    }

    /// The salt of a subject or conversation of a tenant; of the tenant itself without one.
    #[must_use]
    pub fn salt_for(&self, tenant: u64, who: Option<&str>) -> Salt {
        let owner = self.owner(tenant, who);
        if who.is_none() {
            // Nobody can be forgotten here.
            return Salt(owner);
        }
        let generation = self.slot(&owner).load(Ordering::Acquire);
        Salt(keyed(&owner, &generation.to_le_bytes(), &[]))
    }

    /// Drops the salt of a subject or conversation: what was stored under it cannot be found again
    /// and is evicted in time. A later [`Self::salt_for`] gives a new one.
    pub fn forget(&self, tenant: u64, who: &str) {
        let owner = self.owner(tenant, Some(who));
        self.slot(&owner).fetch_add(1, Ordering::AcqRel);
    }

    fn owner(&self, tenant: u64, who: Option<&str>) -> [u8; 32] {
        let is_named = [u8::from(who.is_some())];
        let who = who.unwrap_or_default().as_bytes();
        keyed(&self.process, &tenant.to_le_bytes(), &[&is_named, who])
    }

    fn slot(&self, owner: &[u8; 32]) -> &AtomicU64 {
        let slot_idx = usize::from_le_bytes([
            owner[0], owner[1], owner[2], owner[3], owner[4], owner[5], owner[6], owner[7],
        ]);
        &self.generations[slot_idx % N_SLOTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_stable_and_belongs_to_one_tenant_and_one_person() {
        let salts = Salts::new().unwrap();
        let salt = salts.salt_for(1, Some("ann"));
        assert!(salt == salts.salt_for(1, Some("ann")));
        let others = [
            salts.salt_for(2, Some("ann")),
            salts.salt_for(1, Some("bob")),
            salts.salt_for(1, Some("")),
            salts.salt_for(1, None),
            Salts::new().unwrap().salt_for(1, Some("ann")),
        ];
        assert!(others.iter().all(|other| *other != salt));
    }

    #[test]
    fn forgetting_changes_one_persons_salt_and_leaves_the_others() {
        let salts = Salts::new().unwrap();
        let all = || {
            [
                salts.salt_for(1, Some("ann")),
                salts.salt_for(1, Some("bob")),
                salts.salt_for(2, Some("ann")),
                salts.salt_for(1, None),
            ]
        };
        let before = all();
        salts.forget(1, "ann");
        let after = all();
        assert!(before[0] != after[0]);
        assert!(before[1..] == after[1..]);
    }

    #[test]
    fn a_salt_prints_nothing_of_itself() {
        let salt = Salts::new().unwrap().salt_for(1, None);
        assert_eq!(format!("{salt:?}"), "Salt");
    }
}
