//! The workers as the desk sees them: who can work, who sleeps, who is stuck.

use super::queue::ItemId;
use super::run::Run;
use crate::{Class, Deadline};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker's place; a replacement gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PostIdx(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Works or waits for work.
    Able,
    /// Has not come back in time, and goes on when it does.
    Stuck,
    /// As `Stuck`, but another has its place.
    Replaced,
    /// Its thread has ended or is about to.
    Gone,
}

#[derive(Debug)]
struct Post {
    worker_idx: usize,
    standing: Standing,
    /// Since when it is busy with the same; `None` while it is not.
    busy_since: Option<Instant>,
    /// What it runs, and after it what it runs while that is interrupted.
    hands: Vec<Hand>,
}

/// A batch on a worker's hands.
#[derive(Debug)]
pub(super) struct Hand {
    pub(super) run: Option<Arc<Run>>,
    pub(super) n_tokens: usize,
    /// Tokens that may still run before it while it is interrupted.
    pub(super) allowance: usize,
    /// Of its members' the most urgent.
    pub(super) class: Class,
    /// Of its members' the earliest.
    pub(super) deadline: Deadline,
    /// Its members, also while they are run one by one.
    pub(super) ids: Vec<ItemId>,
}

/// Whether a worker that finished something takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoOn {
    Yes,
    /// It goes on although it had been given up.
    Returned,
    /// Another has its place.
    No,
}

#[derive(Debug)]
pub(super) struct Crew {
    posts: Vec<Post>,
    n_able: usize,
    n_idle: usize,
    n_called: usize,
    running_tokens: usize,
    n_replacements_left: usize,
}

impl Crew {
    pub(super) fn new(n_workers: usize, max_replacements: usize) -> Self {
        Self {
            posts: (0..n_workers).map(Post::new).collect(),
            n_able: n_workers,
            n_idle: 0,
            n_called: 0,
            running_tokens: 0,
            n_replacements_left: max_replacements,
        }
    }

    /// Every post there ever was.
    pub(super) fn posts(&self) -> impl Iterator<Item = PostIdx> + use<> {
        (0..self.posts.len()).map(PostIdx)
    }

    pub(super) fn worker_idx(&self, PostIdx(post_idx): PostIdx) -> usize {
        self.posts[post_idx].worker_idx
    }

    pub(super) fn is_gone(&self, PostIdx(post_idx): PostIdx) -> bool {
        self.posts[post_idx].standing == Standing::Gone
    }

    /// Whether every thread has ended or is about to, but for those that are known to be stuck.
    pub(super) fn is_empty(&self) -> bool {
        let mut posts = self.posts.iter();
        posts.all(|post| post.standing != Standing::Able)
    }

    /// Workers that work or wait for work.
    pub(super) const fn n_able(&self) -> usize {
        self.n_able
    }

    /// Workers that sleep, including those on their way.
    pub(super) const fn n_idle(&self) -> usize {
        self.n_idle
    }

    /// Workers that sleep and were not called.
    pub(super) const fn n_asleep(&self) -> usize {
        self.n_idle - self.n_called
    }

    /// Tokens that run now.
    pub(super) const fn running_tokens(&self) -> usize {
        self.running_tokens
    }

    /// Wakes up to `n_wanted` sleeping workers, none twice; how many calls that takes.
    pub(super) fn call(&mut self, n_wanted: usize) -> usize {
        let n_calls = n_wanted.min(self.n_idle - self.n_called);
        self.n_called += n_calls;
        n_calls
    }

    pub(super) const fn sleep(&mut self) {
        self.n_idle += 1;
    }

    /// A worker woke, called or not: one that woke by itself uses up a call, and the called one
    /// still wakes.
    pub(super) const fn wake(&mut self) {
        self.n_idle -= 1;
        self.n_called = self.n_called.saturating_sub(1);
    }

    /// The worker takes a batch, maybe while it holds another.
    pub(super) fn start(&mut self, PostIdx(post_idx): PostIdx, hand: Hand, now: Instant) {
        self.running_tokens += hand.n_tokens;
        let post = &mut self.posts[post_idx];
        post.busy_since = Some(now);
        post.hands.push(hand);
    }

    /// The one batch on a worker's hands; `None` also while it is interrupted.
    pub(super) fn only_hand(&mut self, PostIdx(post_idx): PostIdx) -> Option<&mut Hand> {
        match &mut self.posts[post_idx].hands[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The worker begins another piece of the same work: its time counts anew.
    pub(super) fn restart(
        &mut self,
        PostIdx(post_idx): PostIdx,
        run: Option<&Arc<Run>>,
        now: Instant,
    ) {
        let post = &mut self.posts[post_idx];
        if post.standing == Standing::Able {
            post.busy_since = Some(now);
            if let Some(hand) = post.hands.last_mut() {
                hand.run = run.map(Arc::clone);
            }
        }
    }

    /// The worker is done with what it took last; time counts anew for what that interrupted.
    pub(super) fn finish(&mut self, PostIdx(post_idx): PostIdx, now: Instant) -> GoOn {
        let post = &mut self.posts[post_idx];
        self.running_tokens -= post.hands.pop().map_or(0, |hand| hand.n_tokens);
        post.busy_since = (!post.hands.is_empty()).then_some(now);
        match post.standing {
            Standing::Able => GoOn::Yes,
            Standing::Stuck => {
                post.standing = Standing::Able;
                self.n_able += 1;
                GoOn::Returned
            }
            Standing::Replaced | Standing::Gone => GoOn::No,
        }
    }

    /// The worker leaves for good; what it had not finished.
    pub(super) fn leave(&mut self, PostIdx(post_idx): PostIdx) -> Vec<ItemId> {
        let post = &mut self.posts[post_idx];
        self.running_tokens -= post.n_tokens();
        if post.standing == Standing::Able {
            self.n_able -= 1;
        }
        post.standing = Standing::Gone;
        post.rest()
    }

    /// Workers that have been busy for too long, each found once, with what they had. Their runs
    /// are cancelled.
    pub(super) fn find_stuck(
        &mut self,
        now: Instant,
        stuck_after: Duration,
    ) -> Vec<(PostIdx, Vec<ItemId>)> {
        let mut stuck = Vec::new();
        for (post_idx, post) in self.posts.iter_mut().enumerate() {
            let busy = post
                .busy_since
                .map(|since| now.saturating_duration_since(since));
            if post.standing != Standing::Able || busy.is_none_or(|busy| busy < stuck_after) {
                continue;
            }
            post.standing = Standing::Stuck;
            self.n_able -= 1;
            self.running_tokens -= post.n_tokens();
            for run in post.hands.iter().filter_map(|hand| hand.run.as_ref()) {
                run.cancel();
            }
            stuck.push((PostIdx(post_idx), post.rest()));
        }
        stuck
    }

    /// A new post in place of a stuck one, while replacements are left.
    pub(super) fn replace(&mut self, PostIdx(post_idx): PostIdx) -> Option<PostIdx> {
        self.n_replacements_left = self.n_replacements_left.checked_sub(1)?;
        let worker_idx = self.posts[post_idx].worker_idx;
        self.posts[post_idx].standing = Standing::Replaced;
        self.posts.push(Post::new(worker_idx));
        self.n_able += 1;
        Some(PostIdx(self.posts.len() - 1))
    }
}

impl Post {
    const fn new(worker_idx: usize) -> Self {
        Self {
            worker_idx,
            standing: Standing::Able,
            busy_since: None,
            hands: Vec::new(),
        }
    }

    fn n_tokens(&self) -> usize {
        self.hands.iter().map(|hand| hand.n_tokens).sum()
    }

    /// Nothing on its hands; gives what it had.
    fn rest(&mut self) -> Vec<ItemId> {
        self.busy_since = None;
        self.hands.drain(..).flat_map(|hand| hand.ids).collect()
    }
}
