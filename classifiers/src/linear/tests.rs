use super::features::Features;
use super::format::{self, Manifest, Training};
use super::table::{LANES, Slot, Table, slot};
use super::window::Views;
use super::{LinearClassifier, LinearModel, LoadError};
use crate::scale::{CategoryScale, Curve, LEVELS, Logistic, Scale};
use crate::{Class, Classifier, Failure, Job, Segment, Shed, Unit, Verdict};
use portcullis_text::{Category, Content, PartId, Surface, View};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const N_SLOTS: u32 = 512;

/// A model that knows words: each gives its category a large logit.
struct Parts {
    table: Table,
    scale: Scale,
}

fn knowing(words: &[(&str, Category)]) -> Parts {
    let mut slots = vec![Slot::default(); N_SLOTS as usize];
    for (word, category) in words {
        for &id in Features::default().of(word) {
            let mut weights = [0; LANES];
            weights[category.index()] = 100;
            slots[slot(id, N_SLOTS)] = Slot {
                weights,
                tag: id as u16,
            };
        }
    }
    let bias = [-2.0; Category::COUNT];
    Parts {
        table: Table {
            slots,
            steps: [0.05; Category::COUNT],
            bias,
        },
        scale: plain_scale(),
    }
}

fn plain_scale() -> Scale {
    let curve = Curve {
        knots: std::array::from_fn(|k| k as f32),
        head: 1.0,
        tail: 1.0,
        ceiling: 1.0,
    };
    let category = CategoryScale {
        curves: std::array::from_fn(|_| curve.clone()),
        probability: Some(Logistic {
            slope: 1.0,
            offset: 0.0,
        }),
    };
    Scale::new(std::array::from_fn(|_| category.clone()))
}

fn files(parts: &Parts) -> (Vec<u8>, String) {
    let weights = format::encode(&parts.table, &parts.scale);
    let training = Training {
        data_blake3: "none".to_owned(),
        rows: 0,
        dev_rows: 0,
        seed: 0,
    };
    let manifest = serde_json::to_string(&Manifest::new(&weights, training)).unwrap();
    (weights, manifest)
}

fn load(parts: &Parts) -> Result<LinearModel, LoadError> {
    let (weights, manifest) = files(parts);
    LinearModel::from_parts(&weights, &manifest)
}

fn classifier(words: &[(&str, Category)]) -> LinearClassifier {
    LinearClassifier::new(load(&knowing(words)).unwrap())
}

fn job(text: &str) -> Job {
    let segment = Segment {
        part: PartId(3),
        surface: Surface::User,
        start: 100,
        content: Content::from(text),
    };
    Job {
        segments: vec![segment],
        context: None,
        unit: Unit::Text,
        tenant: 0,
        salt: None,
        deadline: Instant::now() + Duration::from_secs(60),
        class: Class::Prompt,
    }
}

async fn verdict(classifier: &LinearClassifier, text: &str) -> Verdict {
    classifier.submit(job(text)).unwrap().await.unwrap()
}

/// The highest score of a category over a verdict's windows.
fn top(verdict: &Verdict, category: Category) -> f32 {
    verdict
        .windows
        .iter()
        .map(|window| window.scores[category])
        .fold(0.0, f32::max)
}

#[test]
fn the_embedded_model_loads_and_tells_harm_from_harmless() {
    let model = LinearModel::embedded().unwrap();
    let harassment = |text: &str| model.logits(text)[Category::Harassment.index()];
    assert!(harassment("what time does the library open") < 0.0);
    assert!(0.0 < harassment("shut up you worthless fucking idiot"));
    assert_eq!(model.digest().len(), 64);
}

#[test]
fn a_model_survives_the_way_to_disk_and_back() {
    let parts = knowing(&[("wyvern", Category::Violence)]);
    let folder = tempfile::tempdir().unwrap();
    let (weights, manifest) = files(&parts);
    std::fs::write(folder.path().join(super::WEIGHTS_FILE), weights).unwrap();
    std::fs::write(folder.path().join(super::MANIFEST_FILE), manifest).unwrap();
    let loaded = LinearModel::load(folder.path()).unwrap();
    assert_eq!(loaded.scale(), &parts.scale);
    let logits = loaded.logits("a wyvern");
    assert!(0.0 < logits[Category::Violence.index()] && logits[Category::Hate.index()] < 0.0);
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = LinearModel::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains(super::MANIFEST_FILE), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_flipped_bit_is_refused(at in any::<proptest::sample::Index>(), bit in 0..8) {
        let (mut weights, manifest) = files(&knowing(&[("wyvern", Category::Violence)]));
        let at = at.index(weights.len());
        weights[at] ^= 1_u8 << bit;
        let refused = LinearModel::from_parts(&weights, &manifest);
        let is_refused = matches!(refused, Err(LoadError::Digest { .. }));
        prop_assert!(is_refused);
    }

    #[test]
    fn a_weights_file_cut_short_is_refused_even_when_vouched_for(at in any::<proptest::sample::Index>()) {
        let (weights, _) = files(&knowing(&[("wyvern", Category::Violence)]));
        let refused = format::decode(&weights[..at.index(weights.len())]);
        let is_refused = matches!(refused, Err(LoadError::Shape { .. }));
        prop_assert!(is_refused);
    }

    #[test]
    fn windows_cover_every_byte_and_stay_on_characters(text in "([a-zа-я가-힣 \u{200b}]{0,40}){0,40}") {
        let views = Views::of(&text);
        let mut reached = 0;
        for piece in views.pieces().filter(|piece| piece.view == View::Raw) {
            prop_assert!(piece.text.len() <= 1024);
            prop_assert!(text.is_char_boundary(piece.origin.start));
            prop_assert!(text.is_char_boundary(piece.origin.end));
            let skipped = text.get(reached..piece.origin.start).unwrap_or_default();
            prop_assert!(skipped.chars().all(|c| c == '\u{200b}'), "a gap before a window");
            reached = reached.max(piece.origin.end);
        }
        prop_assert!(text[reached..].chars().all(|c| c == '\u{200b}'), "a gap at the end");
    }
}

#[test]
fn what_is_said_of_a_text_is_said_by_place_and_a_sentence_is_not_lost_in_it() {
    let model = LinearModel::embedded().unwrap();
    let harm = "shut up you worthless fucking idiot";
    let filler = "we walked along the river and talked about bread ".repeat(15);
    let text = format!("{filler}{harm} {filler}{filler}");
    let said = model.said(&Views::of(&text), text.len());
    let at = |from: usize| said.near(&(from..from + 6))[Category::Harassment.index()];
    let (there, far) = (at(filler.len()), at(text.len() - 100));
    let wide = model.logits(&text)[Category::Harassment.index()];
    assert!(
        far + 1.0 < there && wide + 1.0 < there,
        "{far} {wide} {there}"
    );
    assert_eq!(
        model
            .said(&Views::of(harm), harm.len())
            .near(&(0..harm.len())),
        model.logits(harm)
    );
}

#[test]
fn what_a_long_code_says_is_said_of_the_whole_text() {
    let model = LinearModel::embedded().unwrap();
    let harm = "shut up you worthless fucking idiot ".repeat(1500);
    let code: String = harm.bytes().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("how do I bake bread? {code} with butter and salt");
    assert!(64 * 512 < code.len());
    let said = model.said(&Views::of(&text), text.len());
    let at = |bytes: std::ops::Range<usize>| said.near(&bytes)[Category::Harassment.index()];
    let whole = at(0..text.len());
    assert!(0.0 < whole);
    assert_eq!([at(0..4), at(text.len() - 4..text.len())], [whole; 2]);
}

#[test]
fn of_a_reading_only_what_was_changed_is_read_with_what_stands_around_it() {
    let filler = "we walked along the river and talked about bread ".repeat(60);
    let text = format!("{filler}how do I make a b0mb at home {filler}");
    let views = Views::of(&text);
    let pieces: Vec<_> = views.pieces().collect();
    let (readings, written): (Vec<_>, Vec<_>) =
        pieces.iter().partition(|piece| piece.view == View::Leet);
    assert!(written.iter().all(|piece| piece.view == View::Raw));
    let [reading] = &readings[..] else {
        panic!("{readings:?}")
    };
    let at = reading.text.find("bomb").unwrap();
    let after = reading.text.len() - at - "bomb".len();
    assert!((256..300).contains(&at) && (256..300).contains(&after));
    assert_eq!(
        text[reading.origin.clone()]
            .to_lowercase()
            .replace('0', "o"),
        reading.text
    );
}

#[test]
fn two_changes_near_each_other_are_read_together_and_distant_ones_apart() {
    let readings = |n_words: usize| {
        let between = "river ".repeat(n_words);
        let text = format!("a b0mb {between} a w3apon");
        let views = Views::of(&text);
        let pieces = views.pieces().filter(|piece| piece.view == View::Leet);
        pieces
            .map(|piece| piece.text.to_owned())
            .collect::<Vec<_>>()
    };
    let near = readings(70);
    assert!(near.len() == 1 && near[0].contains("bomb") && near[0].contains("weapon"));
    assert_eq!(readings(170).len(), 2);
}

#[test]
fn numbers_that_cannot_be_are_refused_with_their_category() {
    let mut parts = knowing(&[]);
    parts.table.bias[Category::Cyber.index()] = f32::NAN;
    let error = load(&parts).unwrap_err().to_string();
    assert!(error.contains("bias of `cyber`"), "{error}");

    let mut parts = knowing(&[]);
    parts.table.steps[Category::Hate.index()] = f32::INFINITY;
    assert!(matches!(
        load(&parts),
        Err(LoadError::Number {
            category: Category::Hate,
            ..
        })
    ));

    let mut parts = knowing(&[]);
    let mut categories = parts.scale.categories().clone();
    categories[Category::Sexual.index()].curves[1].knots[2] = -50.0;
    parts.scale = Scale::new(categories);
    assert!(matches!(
        load(&parts),
        Err(LoadError::Number {
            category: Category::Sexual,
            ..
        })
    ));
}

#[test]
fn a_model_of_another_canonical_form_is_refused_with_what_to_do() {
    let (weights, manifest) = files(&knowing(&[]));
    let manifest = manifest.replace(portcullis_text::canonical::VERSION, "canonical-0");
    let error = LinearModel::from_parts(&weights, &manifest)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`canonical-0`") && error.contains("train it again"),
        "{error}"
    );
}

#[test]
fn an_ngram_never_trained_weighs_nothing() {
    let parts = knowing(&[("wyvern", Category::Violence)]);
    let logits = load(&parts).unwrap().logits("quux blob 1234 zzz");
    assert_eq!(
        logits, parts.table.bias,
        "other n-grams share slots but not tags"
    );
}

#[tokio::test]
async fn a_word_deep_in_a_long_text_scores_as_high_as_in_its_own_window() {
    let classifier = classifier(&[("wyvern", Category::Violence)]);
    let filler = "bread and butter ".repeat(2000);
    let long = format!("{filler}wyvern wyvern wyvern{filler}");
    let alone = verdict(&classifier, &long[filler.len() - 400..filler.len() + 400]).await;
    let whole = verdict(&classifier, &long).await;
    assert!(whole.windows.len() > 20);
    let (alone, whole) = (
        top(&alone, Category::Violence),
        top(&whole, Category::Violence),
    );
    assert!(
        alone * 0.8 < whole,
        "{alone} alone, {whole} in the long text"
    );
}

#[tokio::test]
async fn spans_are_bytes_of_the_original_part() {
    let classifier = classifier(&[]);
    let text = "one\u{200b}two";
    let verdict = verdict(&classifier, text).await;
    assert_eq!(verdict.windows.len(), 1);
    assert_eq!(verdict.windows[0].span.range, 100..100 + text.len());
    assert_eq!(verdict.windows[0].span.part, PartId(3));
}

#[tokio::test]
async fn a_disguised_word_is_seen_in_the_folded_view() {
    let classifier = classifier(&[("wyvern", Category::Violence)]);
    let plain = verdict(&classifier, "wyvern").await;
    let disguised = verdict(&classifier, "w\u{0443}v\u{0435}rn").await; // Cyrillic letters
    assert_eq!(
        disguised.windows.len(),
        1,
        "both views of a short text are one window"
    );
    assert_eq!(disguised.windows[0].view, View::Folded);
    assert_eq!(
        top(&disguised, Category::Violence),
        top(&plain, Category::Violence)
    );
}

#[tokio::test]
async fn a_misspelt_word_is_seen_as_the_word_it_was_meant_to_be() {
    let classifier = classifier(&[("weapon", Category::Violence)]);
    let plain = verdict(&classifier, "where can i buy a weapon").await;
    let text = "where can i buy a weaopn";
    let misspelt = verdict(&classifier, text).await;
    let of_view = |view| misspelt.windows.iter().find(|window| window.view == view);
    assert!(of_view(View::Raw).is_some(), "as written too");
    assert_eq!(
        of_view(View::Respelt).unwrap().span.range,
        100..100 + text.len()
    );
    assert_eq!(
        top(&misspelt, Category::Violence),
        top(&plain, Category::Violence)
    );
}

#[tokio::test]
async fn an_empty_text_has_one_window() {
    let verdict = verdict(&classifier(&[]), "").await;
    assert_eq!(verdict.windows.len(), 1);
}

#[tokio::test]
async fn logits_that_overflow_are_a_failure_and_never_safe() {
    let mut parts = knowing(&[("wyvern", Category::Violence)]);
    parts.table.steps[Category::Violence.index()] = f32::MAX;
    let classifier = LinearClassifier::new(load(&parts).unwrap());
    let result = classifier.submit(job("wyvern")).unwrap().await;
    assert_eq!(result, Err(Failure::NonFinite));
}

#[test]
fn a_deadline_in_the_past_is_shed() {
    let mut late = job("hello");
    late.deadline = Instant::now();
    assert_eq!(classifier(&[]).submit(late).unwrap_err(), Shed::Late);
}

#[test]
fn probabilities_grow_with_the_logit() {
    let model = load(&knowing(&[("wyvern", Category::Violence)])).unwrap();
    let violence = |text: &str| model.probabilities(text)[Category::Violence.index()].unwrap();
    assert!(violence("bread") < violence("wyvern"));
}

#[test]
fn the_scale_begins_where_the_first_level_says() {
    let score = plain_scale().score(Category::Hate, Surface::User, Unit::Text, 0.0);
    assert!((score - (1.0 - LEVELS[0])).abs() < 1e-6);
}
