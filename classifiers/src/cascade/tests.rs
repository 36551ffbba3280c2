//! The cascade on scripted classifiers: each test says what the tiers do and what must come out.

use super::scripted::{Act, Scripted, scores};
use super::*;
use crate::cache::{Salt, Salts};
use crate::classifier::{Class, Shed, Unit};
use portcullis_text::Category;
use proptest::prelude::*;

const LONG: &str = "a text that is long enough for the linear tier to find a place in the cache";

fn segment(part: u32, start: usize, text: &str) -> Segment {
    Segment {
        part: PartId(part),
        surface: Surface::User,
        start,
        content: text.into(),
    }
}

fn request(segments: Vec<Segment>) -> ScreenRequest {
    ScreenRequest {
        segments,
        deadline: tokio::time::Instant::now().into_std() + Duration::from_secs(1),
        class: Class::Prompt,
        on_failure: OnFailure::default(),
        use_cache: true,
        ..warm_up()
    }
}

fn one_text() -> ScreenRequest {
    request(vec![segment(7, 0, LONG)])
}

fn ruled(encoder: FailureRule, linear: FailureRule) -> ScreenRequest {
    ScreenRequest {
        on_failure: OnFailure { encoder, linear },
        ..one_text()
    }
}

fn cached(tier: &Arc<Scripted>) -> Cascade {
    let cache = Arc::new(VerdictCache::new(1 << 20));
    Cascade::new(Arc::clone(tier) as Arc<dyn Classifier>).with_cache(cache)
}

fn both(linear: Act, encoder: Act) -> Cascade {
    Cascade::new(Scripted::linear([linear])).with_tier(Scripted::encoder([encoder]))
}

fn covered(screening: &Screening) -> Vec<(Vec<Detector>, Option<Failure>)> {
    screening
        .coverage
        .iter()
        .map(|one| (one.detectors.clone(), one.gap))
        .collect()
}

#[test]
fn a_tier_that_answers_at_once_needs_no_runtime() {
    let cascade = Cascade::new(Scripted::linear([Act::Score(0.25)]));
    let mut screening = std::pin::pin!(cascade.screen(one_text_without_clock()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Ok(screening)) = screening.as_mut().poll(&mut context) else {
        panic!("a ready verdict must come back at the first poll");
    };
    assert_eq!(covered(&screening), [(vec![Detector::Linear], None)]);
    assert_eq!(screening.windows.len(), 2);
    assert!(screening.infer.is_some());
}

fn one_text_without_clock() -> ScreenRequest {
    ScreenRequest {
        segments: vec![segment(7, 0, LONG)],
        ..warm_up()
    }
}

#[tokio::test(start_paused = true)]
async fn a_promised_verdict_is_waited_for() {
    let cascade = Cascade::new(Scripted::linear([Act::ScoreLater]));
    let screening = cascade.screen(one_text()).await.unwrap();
    assert_eq!(screening.windows[0].scores, scores(0.5));
    assert_eq!(screening.windows[0].span.part, PartId(7));
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_counts_the_lower_ones_speaks_for_them_where_it_answers() {
    let of = |encoder: Arc<Scripted>| {
        Cascade::new(Scripted::linear([Act::Score(0.9)])).with_tier(encoder)
    };
    let detectors = |screening: &Screening| {
        let windows = screening.windows.iter();
        windows.map(|window| window.detector).collect::<Vec<_>>()
    };
    let screening = of(Scripted::counting([Act::Score(0.2)]))
        .screen(one_text())
        .await
        .unwrap();
    let (linear, encoder) = (Detector::Linear, Detector::Encoder);
    assert_eq!(detectors(&screening), [linear, linear, encoder, encoder]);
    let own = screening.windows[0].scores;
    assert!(
        (own[Category::AdviceLegal] - 0.9).abs() < 1e-6,
        "it is not counted"
    );
    assert_eq!(own[Category::Violence], 0.0);
    assert_eq!(screening.coverage[0].detectors, [linear, encoder]);

    let failed = of(Scripted::counting([Act::Fail(Failure::Died)]));
    let screening = failed.screen(one_text()).await.unwrap();
    assert_eq!(detectors(&screening), [Detector::Linear; 2]);

    let plain = of(Scripted::encoder([Act::Score(0.2)]));
    let screening = plain.screen(one_text()).await.unwrap();
    assert_eq!(screening.windows.len(), 4);
}

/// A lone tier that fails closes the exchange where the rule says so, and leaves a gap otherwise.
#[track_caller]
fn check_failure(act: impl Fn() -> Act, failure: Failure) -> impl Future<Output = ()> {
    let closed = Cascade::new(Scripted::linear([act()]));
    let open = Cascade::new(Scripted::linear([act()]));
    async move {
        let request = ruled(FailureRule::Closed, FailureRule::Closed);
        let error = closed.screen(request).await.unwrap_err();
        assert_eq!((error.detector, error.failure), (Detector::Linear, failure));
        assert_eq!(error.failures, [(Detector::Linear, failure)]);

        let request = ruled(FailureRule::Open, FailureRule::Open);
        let screening = open.screen(request).await.unwrap();
        assert_eq!(covered(&screening), [(vec![], Some(failure))]);
        assert_eq!(screening.failures, [(Detector::Linear, failure)]);
        assert_eq!(screening.windows, []);
    }
}

#[tokio::test(start_paused = true)]
async fn every_failure_closes_or_leaves_a_gap_and_never_passes_for_safe() {
    check_failure(
        || Act::Shed(Shed::QueueFull),
        Failure::Shed(Shed::QueueFull),
    )
    .await;
    check_failure(|| Act::Shed(Shed::Late), Failure::Shed(Shed::Late)).await;
    check_failure(|| Act::Fail(Failure::NonFinite), Failure::NonFinite).await;
    check_failure(|| Act::Fail(Failure::Died), Failure::Died).await;
    check_failure(|| Act::Panic, Failure::Died).await;
    check_failure(|| Act::Hang, Failure::TimedOut).await;
}

#[tokio::test]
async fn a_verdict_that_leaves_a_text_out_or_strays_is_a_failure() {
    check_failure(|| Act::Forget, Failure::Died).await;
    check_failure(|| Act::Stray, Failure::Died).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_out_comes_at_the_deadline_and_cancels_the_work() {
    let tier = Scripted::linear([Act::Hang]);
    let cascade = Cascade::new(Arc::clone(&tier) as Arc<dyn Classifier>);
    let started = tokio::time::Instant::now();
    let error = cascade.screen(one_text()).await.unwrap_err();
    assert_eq!(error.failure, Failure::TimedOut);
    let waited = started.elapsed();
    assert!(
        (990..1010).contains(&waited.as_millis()),
        "waited {waited:?}"
    );
    assert!(tier.promises.lock().unwrap()[0].is_cancelled());
}

#[tokio::test]
async fn dropping_the_screening_cancels_every_tier() {
    let (linear, encoder) = (
        Scripted::linear([Act::Hang]),
        Scripted::encoder([Act::Hang]),
    );
    let cascade = Cascade::new(Arc::clone(&linear) as Arc<dyn Classifier>)
        .with_tier(Arc::clone(&encoder) as Arc<dyn Classifier>);
    {
        let mut screening = Box::pin(cascade.screen(one_text()));
        let polled = futures_poll(&mut screening);
        assert!(polled.is_none(), "both tiers hang");
        assert!(!linear.promises.lock().unwrap()[0].is_cancelled());
    }
    assert!(linear.promises.lock().unwrap()[0].is_cancelled());
    assert!(encoder.promises.lock().unwrap()[0].is_cancelled());
}

fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_lower_tier_decides_where_the_rule_says_so_and_the_failure_is_still_told() {
    let cascade = both(Act::Score(0.25), Act::Fail(Failure::Died));
    let request = ruled(FailureRule::LowerTier, FailureRule::Closed);
    let screening = cascade.screen(request).await.unwrap();
    assert_eq!(covered(&screening), [(vec![Detector::Linear], None)]);
    assert_eq!(screening.failures, [(Detector::Encoder, Failure::Died)]);
    assert!(
        screening
            .windows
            .iter()
            .all(|window| window.scores == scores(0.25))
    );
}

#[tokio::test]
async fn an_open_tier_leaves_its_gap_even_where_another_screened() {
    let cascade = both(Act::Score(0.25), Act::Fail(Failure::Died));
    let screening = cascade
        .screen(ruled(FailureRule::Open, FailureRule::Closed))
        .await
        .unwrap();
    assert_eq!(
        covered(&screening),
        [(vec![Detector::Linear], Some(Failure::Died))]
    );
}

#[tokio::test]
async fn when_the_lower_tier_failed_too_its_own_rule_holds() {
    let died = || Act::Fail(Failure::Died);
    let cascade = both(Act::Shed(Shed::Late), died());
    let request = ruled(FailureRule::LowerTier, FailureRule::Open);
    let screening = cascade.screen(request).await.unwrap();
    assert_eq!(
        covered(&screening),
        [(vec![], Some(Failure::Shed(Shed::Late)))]
    );
    assert_eq!(screening.failures.len(), 2, "{:?}", screening.failures);

    let request = ruled(FailureRule::LowerTier, FailureRule::Closed);
    let error = both(died(), died()).screen(request).await.unwrap_err();
    assert_eq!(error.detector, Detector::Linear);
}

#[tokio::test]
async fn lower_tier_without_a_lower_tier_closes() {
    let request = ruled(FailureRule::LowerTier, FailureRule::LowerTier);
    let lone = Cascade::new(Scripted::encoder([Act::Fail(Failure::Died)]));
    assert_eq!(
        lone.screen(request).await.unwrap_err().detector,
        Detector::Encoder
    );
}

#[tokio::test]
async fn a_second_ask_is_a_hit_with_the_same_windows_at_their_new_place() {
    let tier = Scripted::linear([Act::Score(0.25)]);
    let cascade = cached(&tier);
    let first = cascade
        .screen(request(vec![segment(3, 10, LONG)]))
        .await
        .unwrap();
    assert_eq!((first.cache_hits, first.cache_misses), (0, 1));

    let second = cascade
        .screen(request(vec![segment(4, 20, LONG)]))
        .await
        .unwrap();
    assert_eq!(
        (second.cache_hits, second.cache_misses, second.infer),
        (1, 0, None)
    );
    assert_eq!(covered(&second), [(vec![Detector::Linear], None)]);
    let mut moved = first.windows;
    for window in &mut moved {
        window.span.part = PartId(4);
        window.span.range = window.span.range.start + 10..window.span.range.end + 10;
    }
    assert_eq!(second.windows, moved);
    assert_eq!(tier.asked(), [1]);
}

#[tokio::test]
async fn only_what_is_not_cached_is_submitted_and_the_order_stays() {
    let tier = Scripted::linear([Act::Score(0.25), Act::Score(0.75)]);
    let cascade = cached(&tier);
    let other = LONG.to_uppercase();
    cascade.screen(one_text()).await.unwrap();
    let mixed = vec![
        segment(0, 0, &other),
        segment(1, 0, LONG),
        segment(2, 0, "short"),
    ];
    let screening = cascade.screen(request(mixed)).await.unwrap();
    assert_eq!(tier.asked(), [1, 2]);
    assert_eq!((screening.cache_hits, screening.cache_misses), (1, 1));
    let shown = screening
        .windows
        .iter()
        .map(|w| (w.span.part.0, w.scores[Category::Hate]));
    let expected = [
        (0, 0.75),
        (0, 0.75),
        (1, 0.25),
        (1, 0.25),
        (2, 0.75),
        (2, 0.75),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn failures_are_not_cached() {
    let tier = Scripted::linear([Act::Fail(Failure::Died), Act::Score(0.25)]);
    let cascade = cached(&tier);
    assert!(cascade.screen(one_text()).await.is_err());
    let screening = cascade.screen(one_text()).await.unwrap();
    assert_eq!((screening.cache_hits, screening.cache_misses), (0, 1));
}

#[tokio::test]
async fn a_cached_text_stays_screened_while_the_tier_is_down() {
    let tier = Scripted::linear([Act::Score(0.25), Act::Fail(Failure::Died)]);
    let cascade = cached(&tier);
    cascade.screen(one_text()).await.unwrap();
    let other = LONG.to_uppercase();
    let mixed = vec![segment(0, 0, LONG), segment(1, 0, &other)];
    let rules = OnFailure {
        encoder: FailureRule::Closed,
        linear: FailureRule::Open,
    };
    let mixed = ScreenRequest {
        on_failure: rules,
        ..request(mixed)
    };
    let screening = cascade.screen(mixed).await.unwrap();
    let expected = [
        (vec![Detector::Linear], None),
        (vec![], Some(Failure::Died)),
    ];
    assert_eq!(covered(&screening), expected);
}

/// Whether a second, changed request finds the first one's verdict.
async fn hits_after(change: impl Fn(&mut ScreenRequest)) -> usize {
    hits_of(
        &Scripted::linear([Act::Score(0.25), Act::Score(0.25)]),
        change,
    )
    .await
}

async fn hits_of(tier: &Arc<Scripted>, change: impl Fn(&mut ScreenRequest)) -> usize {
    let cascade = cached(tier);
    cascade.screen(one_text()).await.unwrap();
    let mut changed = one_text();
    change(&mut changed);
    cascade.screen(changed).await.unwrap().cache_hits
}

#[tokio::test]
async fn everything_a_verdict_depends_on_is_part_of_its_key() {
    assert_eq!(hits_after(|_| ()).await, 1);
    assert_eq!(hits_after(|it| it.unit = Unit::StreamWindow).await, 0);
    assert_eq!(
        hits_after(|it| it.context = Some("a prompt".into())).await,
        0
    );
    let blind = Arc::new(Scripted {
        reads_context: false,
        ..Scripted::of(Detector::Linear, [Act::Score(0.25), Act::Score(0.25)])
    });
    let beside = |it: &mut ScreenRequest| it.context = Some("a prompt".into());
    assert_eq!(
        hits_of(&blind, beside).await,
        1,
        "it says the same beside any"
    );
    assert_eq!(
        hits_after(|it| it.segments[0].surface = Surface::Document).await,
        0
    );
    assert_eq!(
        hits_after(|it| it.segments[0].content = LONG.to_uppercase().into()).await,
        0
    );
    assert_eq!(hits_after(|it| it.use_cache = false).await, 0);
    let salt: Salt = Salts::new().unwrap().salt_for(1, None);
    assert_eq!(hits_after(|it| it.salt = salt).await, 0);
}

#[tokio::test]
async fn tiers_do_not_share_cache_entries() {
    let (linear, encoder) = (
        Scripted::linear([Act::Score(0.25)]),
        Scripted::encoder([Act::Score(0.75)]),
    );
    let cascade = cached(&linear).with_tier(Arc::clone(&encoder) as Arc<dyn Classifier>);
    let first = cascade.screen(one_text()).await.unwrap();
    let second = cascade.screen(one_text()).await.unwrap();
    assert_eq!((second.cache_hits, second.cache_misses), (2, 0));
    assert_eq!(second.windows, first.windows);
    let detectors: Vec<_> = second
        .windows
        .iter()
        .map(|window| window.detector)
        .collect();
    let (low, high) = (Detector::Linear, Detector::Encoder);
    assert_eq!(detectors, [low, low, high, high]);
}

#[tokio::test]
async fn overlapping_segments_of_one_part_keep_their_own_windows_in_the_cache() {
    let tier = Scripted::linear([Act::Score(0.25)]);
    let cascade = cached(&tier);
    let text = LONG.repeat(2);
    let windows = || {
        request(vec![
            segment(0, 0, &text[..100]),
            segment(0, 30, &text[30..140]),
        ])
    };
    let first = cascade.screen(windows()).await.unwrap();
    let ranges: Vec<_> = first
        .windows
        .iter()
        .map(|window| window.span.range.clone())
        .collect();
    assert_eq!(ranges, [0..50, 50..100, 30..85, 85..140]);
    assert_eq!(
        cascade.screen(windows()).await.unwrap().windows,
        first.windows
    );
}

#[tokio::test]
async fn an_empty_text_counts_as_screened_without_asking_anyone() {
    let tier = Scripted::linear([]);
    let cascade = Cascade::new(Arc::clone(&tier) as Arc<dyn Classifier>);
    let screening = cascade
        .screen(request(vec![segment(0, 0, "")]))
        .await
        .unwrap();
    assert_eq!(covered(&screening), [(vec![Detector::Linear], None)]);
    assert_eq!((screening.infer, tier.asked()), (None, vec![]));
}

#[tokio::test]
async fn warming_names_the_tier_that_cannot_answer() {
    assert_eq!(both(Act::Score(0.0), Act::Score(0.0)).warm().await, Ok(()));
    let error = both(Act::Score(0.0), Act::Fail(Failure::Died))
        .warm()
        .await
        .unwrap_err();
    assert_eq!(
        (error.detector, error.failure),
        (Detector::Encoder, Failure::Died)
    );
    assert_eq!(error.to_string(), "the encoder tier gave no verdict");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was cached before, and however segments repeat and overlap.
    #[test]
    fn the_cache_never_changes_what_comes_out(
        requests in prop::collection::vec(
            prop::collection::vec((0u32..3, 0usize..50, prop::sample::select(vec![0, 5, 70, 99])), 0..6),
            1..4,
        )
    ) {
        let tiers = || [Scripted::linear(by_length()), Scripted::encoder(by_length())];
        let [linear, encoder] = tiers();
        let plain = Cascade::new(linear).with_tier(encoder);
        let [linear, encoder] = tiers();
        let cached = cached(&linear).with_tier(encoder);
        for segments in requests {
            let segments: Vec<_> = segments
                .into_iter()
                .map(|(part, start, len)| segment(part, start, &LONG.repeat(2)[..len]))
                .collect();
            let asked = ScreenRequest { segments, use_cache: true, ..warm_up() };
            let with = futures_poll(&mut Box::pin(cached.screen(asked.clone()))).unwrap().unwrap();
            let without = futures_poll(&mut Box::pin(plain.screen(asked))).unwrap().unwrap();
            prop_assert_eq!(with.windows, without.windows);
            prop_assert_eq!(with.coverage, without.coverage);
        }
    }
}

fn by_length() -> impl Iterator<Item = Act> {
    std::iter::repeat_with(|| Act::ScoreByLength).take(4)
}
