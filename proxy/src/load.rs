//! How much is taken on at once: requests in flight and the bytes of their bodies.
//!
//! What does not fit is refused at once, with a time to come back. A tenant alone can take seven
//! eighths of either; the last eighth is for the others, and once it is touched nobody gets more
//! than an equal share.

use crate::error::Error;
use portcullis_config::Limits;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What is taken on at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Load(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    limits: Share,
    all: Share,
    /// Tenants are keyed hashes already: nobody can choose ones that collide.
    by_tenant: FxHashMap<u64, Share>,
}

/// Requests, and bytes of their bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    requests: u64,
    bytes: u64,
}

/// A request that was taken on; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Permit {
    load: Load,
    tenant: u64,
    bytes: u64,
}

impl Load {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            limits: Share {
                requests: limits.requests,
                bytes: limits.memory,
            },
            all: Share::default(),
            by_tenant: FxHashMap::default(),
        })))
    }

    /// Takes a request on.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when there is no room for one more of this tenant.
    pub(crate) fn admit(&self, tenant: u64) -> Result<Permit, Error> {
        let one = Share {
            requests: 1,
            bytes: 0,
        };
        self.take(tenant, one)?;
        Ok(Permit {
            load: self.clone(),
            tenant,
            bytes: 0,
        })
    }

    fn take(&self, tenant: u64, more: Share) -> Result<(), Error> {
        self.with(|taken| {
            if !taken.has_room(tenant, more) {
                return Err(Error::Overloaded);
            }
            taken.all.add(more);
            taken.by_tenant.entry(tenant).or_default().add(more);
            Ok(())
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Taken) -> T) -> T {
        // The numbers are whole between any two statements that could panic.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Taken {
    fn has_room(&self, tenant: u64, more: Share) -> bool {
        let own = self.by_tenant.get(&tenant).copied().unwrap_or_default();
        let n_tenants = self.by_tenant.len() as u64 + u64::from(own == Share::default());
        let fits = |limit: u64, all: u64, own: u64| {
            let crowded = limit - limit / 8;
            all <= limit && own <= crowded && (all <= crowded || own <= limit / n_tenants.max(2))
        };
        let (all, own) = (self.all.plus(more), own.plus(more));
        fits(self.limits.requests, all.requests, own.requests)
            && fits(self.limits.bytes, all.bytes, own.bytes)
    }
}

impl Share {
    const fn plus(self, more: Self) -> Self {
        Self {
            requests: self.requests + more.requests,
            bytes: self.bytes + more.bytes,
        }
    }

    fn add(&mut self, more: Self) {
        *self = self.plus(more);
    }

    fn give_back(&mut self, less: Self) {
        self.requests -= less.requests;
        self.bytes -= less.bytes;
    }
}

impl Permit {
    /// Takes on more bytes of the request's bodies.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when there is no room for them.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Error> {
        let more = Share { requests: 0, bytes };
        self.load.take(self.tenant, more)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let less = Share {
            requests: 1,
            bytes: self.bytes,
        };
        self.load.with(|taken| {
            taken.all.give_back(less);
            if let Some(own) = taken.by_tenant.get_mut(&self.tenant) {
                own.give_back(less);
                if *own == Share::default() {
                    taken.by_tenant.remove(&self.tenant);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load::new(&Limits {
            requests: 80,
            memory: 8000,
            ..Limits::default()
        })
    }

    fn admit(load: &Load, tenant: u64, n: usize) -> Vec<Permit> {
        (0..n).filter_map(|_| load.admit(tenant).ok()).collect()
    }

    #[test]
    fn one_tenant_leaves_room_for_another() {
        let load = load();
        let flood = admit(&load, 1, 1000);
        assert_eq!(flood.len(), 70);
        let other = admit(&load, 2, 1000);
        assert_eq!(other.len(), 10, "the last eighth");
        drop(flood);
        assert_eq!(admit(&load, 2, 1000).len(), 60, "seven eighths of its own");
    }

    #[test]
    fn once_it_is_crowded_shares_are_equal() {
        let load = load();
        let first = admit(&load, 1, 60);
        let second = admit(&load, 2, 1000);
        assert_eq!((first.len(), second.len()), (60, 20));
        drop(first);
        let first = admit(&load, 1, 1000);
        assert!(40 <= first.len() && load.admit(1).is_err());
    }

    #[test]
    fn bytes_are_given_back_with_the_request() {
        let load = load();
        let mut one = load.admit(1).unwrap();
        assert!(one.grow(7000).is_ok());
        assert!(one.grow(1).is_err(), "the last eighth is for others");
        let mut two = load.admit(2).unwrap();
        assert!(two.grow(1000).is_ok());
        assert!(two.grow(1).is_err(), "there is no more");
        drop(one);
        assert!(two.grow(6000).is_ok());
        drop(two);
        assert_eq!(
            load.with(|taken| (taken.all, taken.by_tenant.len())),
            (Share::default(), 0)
        );
    }
}
