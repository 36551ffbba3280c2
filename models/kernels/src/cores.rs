//! Which core a thread runs on.

/// The cores that this thread may use, in order; none where the system does not tell.
pub(crate) fn allowed() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        let cores = 0..rustix::thread::CpuSet::MAX_CPU;
        return cores.filter(|core| set.is_set(*core)).collect();
    }
    Vec::new()
}

/// Keeps this thread on one core. Where that is refused it runs wherever it did.
pub(crate) fn keep_to(core: usize) {
    #[cfg(target_os = "linux")]
    {
        let mut set = rustix::thread::CpuSet::new();
        set.set(core);
        // It costs speed alone.
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = core;
}

/// Keeps this thread on one core until it is dropped.
#[derive(Debug)]
pub(crate) struct Kept {
    #[cfg(target_os = "linux")]
    before: Option<rustix::thread::CpuSet>,
}

impl Kept {
    pub(crate) fn to(core: Option<usize>) -> Self {
        #[cfg(target_os = "linux")]
        let before = core.and_then(|_| rustix::thread::sched_getaffinity(None).ok());
        core.into_iter().for_each(keep_to);
        Self {
            #[cfg(target_os = "linux")]
            before,
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(before) = &self.before {
            // Where the cores of the process changed meanwhile, the system knows better.
            let _ = rustix::thread::sched_setaffinity(None, before);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_to_a_core_and_then_has_all_of_them_again() {
        let before = allowed();
        let kept = Kept::to(before.last().copied());
        assert_eq!(allowed(), before[before.len() - 1..]);
        drop(kept);
        assert_eq!(allowed(), before);
        drop(Kept::to(None));
        assert_eq!(allowed(), before);
    }
}
