//! The turns of a conversation taken together.

use portcullis_policy::{Conversation, MAX_TURNS};
use portcullis_text::{Category, Scores};
use proptest::prelude::*;

const HATE: Category = Category::Hate;

/// A turn of these scores of one category, and no evidence of any other.
fn turn(score: f32) -> Scores {
    let mut scores = [0.0; Category::COUNT];
    scores[HATE.index()] = score;
    Scores::new(scores).unwrap()
}

fn joint(scores: &[f32]) -> f32 {
    let turns: Vec<Scores> = scores.iter().copied().map(turn).collect();
    Conversation::of(&turns).map_or(0.0, |joint| joint.scores[HATE])
}

#[test]
fn an_attack_split_over_turns_is_seen_in_their_sum() {
    let split: [&[f32]; 6] = [
        &[0.98, 0.98, 0.98],
        &[0.985, 0.99, 0.98],
        &[0.995, 0.99, 0.99],
        &[0.98, 0.98, 0.985, 0.98],
        &[0.98, 0.3, 0.985, 0.99, 0.99],
        &[0.5, 0.995, 0.2, 0.995, 0.1, 0.995, 0.995],
    ];
    for turns in split {
        assert!(0.999 <= joint(turns), "{turns:?}: {}", joint(turns));
    }
}

#[test]
fn what_harmless_conversations_hold_is_no_evidence() {
    let harmless: [&[f32]; 6] = [
        &[],
        &[0.9999],
        &[0.9999, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9],
        &[0.94; 20],
        &[0.99, 0.98],
        &[0.98, 0.1, 0.5, 0.7, 0.2, 0.98, 0.3, 0.6],
    ];
    for turns in harmless {
        assert!(joint(turns) < 0.999, "{turns:?}: {}", joint(turns));
    }
}

#[test]
fn one_turn_alone_is_never_counted() {
    for others in 0..MAX_TURNS {
        let mut turns = vec![0.9; others];
        turns.push(1.0);
        assert_eq!(joint(&turns), 0.0, "{others} others");
    }
}

#[test]
fn only_the_latest_turns_count() {
    let mut turns = vec![0.999; 4];
    turns.resize(4 + MAX_TURNS, 0.2);
    assert_eq!(joint(&turns), 0.0);
    let all: Vec<Scores> = [vec![turn(0.2); 30], vec![turn(0.99); 3]].concat();
    assert_eq!(Conversation::of(&all).unwrap().n_turns, MAX_TURNS);
}

#[test]
fn it_names_the_turns_it_rests_on() {
    let scores = [0.4, 0.99, 0.9, 0.995, 0.991];
    let turns: Vec<Scores> = scores.into_iter().map(turn).collect();
    let joint = Conversation::of(&turns).unwrap();
    let rests: Vec<bool> = turns.iter().map(|one| joint.rests_on(HATE, one)).collect();
    assert_eq!(rests, [false, true, false, true, true]);
    assert!(!turns.iter().any(|one| joint.rests_on(Category::Crime, one)));
}

/// SplitMix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    /// In `(0, 1)`.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A normal number, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.next(), self.next());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

/// How many of many harmless conversations reach a score.
fn rate(n_conversations: u32, reached: f32, mut conversation: impl FnMut() -> Vec<f32>) -> f64 {
    let hits = (0..n_conversations).filter(|_| reached <= joint(&conversation()));
    hits.count() as f64 / f64::from(n_conversations)
}

/// The rate that a threshold promises, and three standard deviations for the draw.
fn promised(n_conversations: u32, reached: f32) -> f64 {
    let rate = 1.0 - f64::from(reached);
    rate + 3.0 * (rate / f64::from(n_conversations)).sqrt()
}

#[test]
fn harmless_turns_reach_a_threshold_no_oftener_than_it_says() {
    let mut numbers = Numbers(1);
    for n_turns in [2, 3, 5, 8, 30] {
        for reached in [0.98, 0.99, 0.998] {
            let found = rate(40_000, reached, || {
                (0..n_turns).map(|_| numbers.next() as f32).collect()
            });
            assert!(
                found <= promised(40_000, reached),
                "{n_turns} turns, {reached}: {found}"
            );
        }
    }
}

/// Turns of one person hang together: half of what a score is made of is the person's own.
#[test]
fn harmless_turns_that_hang_together_do_not_either() {
    // The scale ranks these turns among themselves, as a scale fitted on harmless texts would.
    let mut numbers = Numbers(2);
    let mut reference: Vec<f64> = (0..400_000).map(|_| numbers.normal()).collect();
    reference.sort_by(f64::total_cmp);
    let score = |logit: f64| {
        let below = reference.partition_point(|other| *other < logit);
        (below as f64 / reference.len() as f64) as f32
    };
    let (own, common) = (0.7_f64.sqrt(), 0.3_f64.sqrt());
    for n_turns in [3, 5, 8, 20] {
        for reached in [0.98, 0.99, 0.998] {
            let found = rate(40_000, reached, || {
                let person = numbers.normal();
                let logit = |number: f64| own.mul_add(number, common * person);
                (0..n_turns)
                    .map(|_| score(logit(numbers.normal())))
                    .collect()
            });
            assert!(
                found <= promised(40_000, reached),
                "{n_turns} turns, {reached}: {found}"
            );
        }
    }
}

fn scores() -> impl Strategy<Value = Vec<f32>> {
    let score = prop_oneof![0.0_f32..=1.0, 0.95_f32..=1.0, Just(1.0_f32)];
    prop::collection::vec(score, 0..12)
}

proptest! {
    #[test]
    fn a_higher_turn_never_gives_a_lower_score(turns in scores(), at in any::<prop::sample::Index>(), by in 0.0_f32..=1.0) {
        prop_assume!(!turns.is_empty());
        let mut higher = turns.clone();
        let raised = &mut higher[at.index(turns.len())];
        *raised = by.mul_add(1.0 - *raised, *raised).min(1.0);
        // The last digits of a sum may differ.
        prop_assert!(joint(&turns) <= joint(&higher) + 1e-6);
    }

    #[test]
    fn the_order_of_the_latest_turns_does_not_matter(mut turns in scores()) {
        turns.truncate(MAX_TURNS);
        let forwards = joint(&turns);
        turns.reverse();
        prop_assert_eq!(forwards, joint(&turns));
        turns.sort_by(f32::total_cmp);
        prop_assert_eq!(forwards, joint(&turns));
    }

    #[test]
    fn a_harmless_turn_more_never_raises_the_score(mut turns in scores(), harmless in 0.0_f32..0.5) {
        turns.truncate(MAX_TURNS - 1);
        let before = joint(&turns);
        turns.push(harmless);
        // One try more is paid for with each turn up to the fourth.
        prop_assert!(joint(&turns) <= before + 1e-6);
    }
}
