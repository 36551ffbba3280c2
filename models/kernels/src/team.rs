//! A few threads that share the work of one request.
//!
//! Members wait for work by spinning for a moment and then parking, so that a chain of short steps
//! costs no wake-ups and an idle team costs no time. Each has a core of its own where there are
//! enough: a thread that is woken is else put beside the one that woke it, and they take turns on
//! one core for many steps. A panic in a member becomes an error of the
//! step; the member lives on.

use crate::cores::{self, Kept};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::{fmt, hint, ptr};

/// Members that a team has at most, the calling thread being one.
pub const MAX_TEAM: usize = 16;

/// How often a waiting thread looks before it parks: some 50 microseconds.
const LOOKS: usize = 2_000;

/// A fixed set of threads. One step at a time: a caller waits for the one before it.
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    step: Mutex<()>,
    /// The caller's core, where each member has one.
    core: Option<usize>,
}

/// A thread's place in a team: it keeps to its core until this is dropped.
#[derive(Debug)]
pub struct Place {
    _kept: Kept,
}

/// A member's share of a step panicked; what the step was to compute is not to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberPanicked;

impl fmt::Display for MemberPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a thread of the team panicked")
    }
}

impl std::error::Error for MemberPanicked {}

struct Shared {
    seats: Vec<Seat>,
    stopping: AtomicBool,
    /// Whether the thread that waits for the present step is about to park, or parked.
    caller_asleep: AtomicBool,
}

/// One helper's place, on a cache line of its own.
#[repr(align(128))]
struct Seat {
    /// The step to do, set before `turn` rises.
    task: Mutex<Option<Task>>,
    /// Steps given to this helper.
    given: AtomicUsize,
    /// Steps it is done with.
    done: AtomicUsize,
    /// Whether its share of the present step panicked.
    panicked: AtomicBool,
    /// Whether it is about to park, or parked.
    asleep: AtomicBool,
}

/// A share of a step, without its types: `call(step, part)`.
#[derive(Clone, Copy)]
struct Task {
    call: unsafe fn(*const (), *mut ()),
    work: *const (),
    part: *mut (),
    caller: *const Thread,
}

// SAFETY: `run` makes tasks only from `&W` with `W: Sync` and `&mut T` with `T: Send`, and does
// not return before every helper is done with its task.
unsafe impl Send for Task {}

impl Team {
    /// A team of `members` threads, the caller's included; between 1 and [`MAX_TEAM`]. Where the
    /// system gives fewer threads, the team is smaller.
    #[must_use]
    pub fn new(members: usize) -> Self {
        let n_helpers = members.clamp(1, MAX_TEAM) - 1;
        let shared = Arc::new(Shared {
            seats: (0..n_helpers).map(|_| Seat::new()).collect(),
            stopping: AtomicBool::new(false),
            caller_asleep: AtomicBool::new(false),
        });
        let cores = cores::allowed();
        let own = |member: usize| (n_helpers < cores.len()).then(|| cores[member]);
        let helpers = (0..n_helpers)
            .map_while(|place| {
                let shared = Arc::clone(&shared);
                let core = own(place + 1);
                thread::Builder::new()
                    .name(format!("team-{}", place + 1))
                    .spawn(move || {
                        core.into_iter().for_each(cores::keep_to);
                        shared.help(place);
                    })
                    .ok()
            })
            .collect();
        Self {
            shared,
            helpers,
            step: Mutex::new(()),
            core: (0 < n_helpers).then(|| own(0)).flatten(),
        }
    }

    /// Takes the caller's place for the steps of one request.
    #[must_use]
    pub fn enter(&self) -> Place {
        Place {
            _kept: Kept::to(self.core),
        }
    }

    /// Members, the caller included.
    #[must_use]
    pub fn size(&self) -> usize {
        1 + self.helpers.len()
    }

    /// Does `work` on each of `parts`, the first on this thread; returns when all are done.
    ///
    /// # Errors
    /// [`MemberPanicked`] when `work` did, on any thread.
    ///
    /// # Panics
    /// When there are more parts than members.
    pub fn run<T: Send, W: Fn(&mut T) + Sync>(
        &self,
        parts: &mut [T],
        work: W,
    ) -> Result<(), MemberPanicked> {
        assert!(parts.len() <= self.size(), "a part needs a member");
        let Some((own, others)) = parts.split_first_mut() else {
            return Ok(());
        };
        if others.is_empty() {
            return catch_unwind(AssertUnwindSafe(|| work(own))).map_err(|_| MemberPanicked);
        }
        let _step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = thread::current();
        let n_others = others.len();
        for (place, part) in others.iter_mut().enumerate() {
            let task = Task {
                call: call::<T, W>,
                work: ptr::from_ref(&work).cast(),
                part: ptr::from_mut(part).cast(),
                caller: ptr::from_ref(&caller),
            };
            self.shared.seats[place].give(task, &self.helpers[place]);
        }
        let own = catch_unwind(AssertUnwindSafe(|| work(own)));
        let mut all_well = own.is_ok();
        for seat in &self.shared.seats[..n_others] {
            wait(|| seat.is_done(), &self.shared.caller_asleep);
            all_well &= !seat.panicked.load(Ordering::Relaxed);
        }
        if all_well {
            Ok(())
        } else {
            Err(MemberPanicked)
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper catches every panic of its work, so it has none to hand on.
            let _ = helper.join();
        }
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Team({} members)", self.size())
    }
}

/// # Safety
/// `work` points to a `W` and `part` to a `T` that nobody else uses.
unsafe fn call<T, W: Fn(&mut T)>(work: *const (), part: *mut ()) {
    // SAFETY: the caller's promise.
    let work = unsafe { &*work.cast::<W>() };
    // SAFETY: the caller's promise.
    let part = unsafe { &mut *part.cast::<T>() };
    work(part);
}

impl Seat {
    fn new() -> Self {
        Self {
            task: Mutex::new(None),
            given: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        }
    }

    fn give(&self, task: Task, helper: &JoinHandle<()>) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        self.panicked.store(false, Ordering::Relaxed);
        // Sequentially consistent with the helper's look at `given` after it set `asleep`: either
        // it sees this step, or this sees that it sleeps.
        self.given.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            helper.thread().unpark();
        }
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst) == self.given.load(Ordering::SeqCst)
    }
}

/// Looks until `ready`, spinning at first and then parked.
fn wait(ready: impl Fn() -> bool, asleep: &AtomicBool) {
    for _ in 0..LOOKS {
        if ready() {
            return;
        }
        hint::spin_loop();
    }
    asleep.store(true, Ordering::SeqCst);
    while !ready() {
        thread::park();
    }
    asleep.store(false, Ordering::SeqCst);
}

impl Shared {
    /// A helper's life.
    fn help(&self, place: usize) {
        let seat = &self.seats[place];
        loop {
            wait(
                || !seat.is_done() || self.stopping.load(Ordering::SeqCst),
                &seat.asleep,
            );
            if seat.is_done() {
                return;
            }
            let task = seat
                .task
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let Some(task) = task else { continue };
            // SAFETY: `run` made the task and waits until it is done.
            let end = catch_unwind(AssertUnwindSafe(|| unsafe {
                (task.call)(task.work, task.part);
            }));
            seat.panicked.store(end.is_err(), Ordering::Relaxed);
            // The caller may be gone as soon as `done` rises, so its handle is copied before.
            // SAFETY: until then it waits.
            let caller = unsafe { &*task.caller }.clone();
            seat.done.fetch_add(1, Ordering::SeqCst);
            // Sequentially consistent as in `give`.
            if self.caller_asleep.load(Ordering::SeqCst) {
                caller.unpark();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_step_after_step() {
        for members in 1..=4 {
            let team = Team::new(members);
            for step in 0..500 {
                let mut parts: Vec<usize> = (0..team.size()).collect();
                team.run(&mut parts, |part| *part += step).unwrap();
                let expected: Vec<usize> = (step..step + team.size()).collect();
                assert_eq!(parts, expected);
            }
        }
    }

    #[test]
    fn fewer_parts_than_members_are_done_too() {
        let team = Team::new(3);
        for n_parts in 0..=3 {
            let mut parts = vec![1; n_parts];
            team.run(&mut parts, |part| *part += 1).unwrap();
            assert_eq!(parts, vec![2; n_parts]);
        }
    }

    #[test]
    fn a_panic_is_an_error_and_the_team_lives_on() {
        let team = Team::new(3);
        for bad in 0..3 {
            let mut parts = [0, 1, 2];
            let end = team.run(&mut parts, |part| assert!(*part != bad, "of the test"));
            assert_eq!(end, Err(MemberPanicked));
            assert_eq!(team.run(&mut parts, |part| *part += 1), Ok(()));
            assert_eq!(parts, [1, 2, 3]);
        }
    }

    #[test]
    fn callers_take_turns() {
        let team = Team::new(2);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let mut parts = [1, 2];
                        team.run(&mut parts, |part| *part *= 10).unwrap();
                        assert_eq!(parts, [10, 20]);
                    }
                });
            }
        });
    }
}
