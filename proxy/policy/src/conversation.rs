//! What the turns of a conversation say together: an attack cut into turns, each nearly harmless.
//!
//! A score `s` says that a share `p = 1 - s` of harmless texts reaches it, so `p` is a p-value. The
//! `k`-th smallest of the last turns' is small by chance as often as at least `k` harmless turns of
//! so many are, and that share is known: it is the score of the conversation. One turn alone is
//! never counted, whatever it scores.
//!
//! Turns of one person hang together: who writes crime stories does so all evening. So the shares
//! are those of turns that have a common (gamma) frailty, the copula of Clayton, and not of
//! independent ones. Under it the chance that `m` given turns all reach a score is
//! `(1 + m (p^-θ - 1))^(-1/θ)`.

use portcullis_text::{Category, Scores};

/// Turns that are looked at: the latest. An older one no longer counts.
pub const MAX_TURNS: usize = 8;

/// The most turns that are asked to be rare at once. Each number from two on is one more try, and
/// the score pays for all of them.
const MAX_TOGETHER: usize = 4;

/// Turns that more harmless texts than these score as high as are not evidence.
const COMMON: f64 = 0.05;

/// No turn counts as rarer than this: beyond it the score scale is a fitted tail.
const RAREST: f64 = 5e-4;

/// How much turns hang together, θ of the copula; 0 would be not at all. Of harmless
/// turns, two then both reach what one text in a hundred reaches seven times as often as by chance.
const DEPENDENCE: f64 = 0.15;

/// What some turns say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversation {
    /// Turns that were looked at, at most [`MAX_TURNS`].
    pub n_turns: usize,
    /// For each category the score of all turns together; 0 where fewer than two of them count.
    pub scores: Scores,
    /// For each category the score that the turns which made it reach; above 1 where there are none.
    pub least: [f32; Category::COUNT],
}

impl Conversation {
    /// Takes the scores of the person's turns together, oldest first. `None` when no category has
    /// two turns that count. Costs some hundred multiplications for each category that has.
    ///
    /// The score of no category falls when a turn's rises, and does not depend on the order of the
    /// turns it is made of. A turn that says the same as another must be left out before.
    #[must_use]
    pub fn of(turns: &[Scores]) -> Option<Self> {
        let turns = &turns[turns.len().saturating_sub(MAX_TURNS)..];
        let mut scores = [0.0; Category::COUNT];
        let mut least = [f32::INFINITY; Category::COUNT];
        for category in Category::ALL {
            let mut of_category = [0.0; MAX_TURNS];
            let of_category = &mut of_category[..turns.len()];
            for (score, turn) in of_category.iter_mut().zip(turns) {
                *score = turn[category];
            }
            if let Some(joint) = together(of_category) {
                (scores[category.index()], least[category.index()]) = joint;
            }
        }
        let any = least.iter().any(|least| least.is_finite());
        let scores = Scores::new(scores).filter(|_| any)?;
        Some(Self {
            n_turns: turns.len(),
            scores,
            least,
        })
    }

    /// Whether a turn of these scores is among those that made a category's score.
    #[must_use]
    pub fn rests_on(&self, category: Category, turn: &Scores) -> bool {
        self.least[category.index()] <= turn[category]
    }
}

/// The score of one category over all turns, and the least score among those that made it.
fn together(turns: &mut [f32]) -> Option<(f32, f32)> {
    turns.sort_by(|a, b| b.total_cmp(a));
    let most = MAX_TOGETHER.min(turns.len());
    let tries = most.checked_sub(1)?;
    let shares = (2..=most).filter_map(|k| {
        let share = 1.0 - f64::from(turns[k - 1]);
        let rare = share <= COMMON;
        rare.then(|| (at_least(k, turns.len(), share.max(RAREST)), turns[k - 1]))
    });
    let (share, least) = shares.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let score = 1.0 - (share * tries as f64).min(1.0);
    Some((score as f32, least))
}

/// The chance that at least `k` of `n` harmless turns reach what a share of harmless texts reaches.
///
/// By inclusion and exclusion over the sets of turns that all do; exact, and with at most
/// [`MAX_TURNS`] turns no digits are lost that a threshold could tell.
fn at_least(k: usize, n: usize, share: f64) -> f64 {
    let odds = share.powf(-DEPENDENCE) - 1.0;
    let terms = (k..=n).map(|m| {
        let sets = choose(m - 1, k - 1) * choose(n, m);
        let all_reach = (m as f64).mul_add(odds, 1.0).powf(-1.0 / DEPENDENCE);
        if (m - k).is_multiple_of(2) {
            sets * all_reach
        } else {
            -sets * all_reach
        }
    });
    terms.sum::<f64>().clamp(0.0, 1.0)
}

fn choose(n: usize, k: usize) -> f64 {
    (1..=k).map(|i| (n - k + i) as f64 / i as f64).product()
}
