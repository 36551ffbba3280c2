//! Evaluation on tiny sets whose texts say their own score, so that every number is known.

use super::*;
use crate::classifier::{Classifier, Identity, Job, Pending, Shed, Verdict};
use flate2::{Compression, write::GzEncoder};
use portcullis_text::{Detector, Scores, Span, Vectors, View, Window};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use tempfile::TempDir;

/// Gives every category the number that a text begins with; answers from another thread.
#[derive(Debug)]
struct Reader {
    identity: Identity,
    broken: Option<Failure>,
}

impl Reader {
    fn new(broken: Option<Failure>) -> Self {
        let (model, digest) = ("reader".to_owned(), "0123".to_owned());
        Self {
            identity: Identity {
                detector: Detector::Linear,
                model,
                digest,
            },
            broken,
        }
    }
}

impl Classifier for Reader {
    fn submit(&self, job: Job) -> Result<Pending, Shed> {
        let (promise, pending) = Pending::promise();
        let broken = self.broken;
        std::thread::spawn(move || {
            // Two windows a text: the larger score is the text's.
            let windows = job.segments.iter().flat_map(|segment| {
                let text = segment.content.expose();
                let score: f32 = text.split(' ').next().unwrap().parse().unwrap();
                [score / 2.0, score].map(|score| Window {
                    span: Span {
                        part: segment.part,
                        range: 0..text.len(),
                    },
                    surface: segment.surface,
                    view: View::Raw,
                    detector: Detector::Linear,
                    scores: Scores::new([score; Category::COUNT]).unwrap(),
                    vectors: Vectors::NONE,
                })
            });
            let verdict = Verdict {
                windows: windows.collect(),
            };
            promise.keep(broken.map_or(Ok(verdict), Err));
        });
        Ok(pending)
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Blocks `unsafe` from 0.9 in prompts and 0.6 in completions, redirects `self_harm` from 0.8.
fn engine() -> Engine {
    let policy = json!({
        "name": "tiny",
        "mode": "observe",
        "categories": {
            "unsafe": {"prompt": {"block": 0.9}, "completion": {"block": 0.6}},
            "self_harm": {"prompt": {"redirect": 0.8}, "redirect_text": "You are not alone"},
        },
        "patterns": [{"id": "codename", "deny": ["nightfall"], "then": "block"}],
    });
    Engine::compile(&serde_json::from_value(policy).unwrap()).unwrap()
}

fn row(text: &str, role: &str, labels: &Value) -> Value {
    json!({"id": text, "text": text, "role": role, "labels": labels})
}

fn prompt(text: &str, is_unsafe: u8) -> Value {
    row(text, "prompt", &json!({"unsafe": is_unsafe}))
}

/// Writes sets to a fresh folder; those named `*.gz` are compressed.
fn folder(sets: &[(&str, Vec<Value>)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, rows) in sets {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let path = folder.path().join(name);
        if name.ends_with(".gz") {
            let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
            gz.write_all(lines.as_bytes()).unwrap();
            std::fs::write(path, gz.finish().unwrap()).unwrap();
        } else {
            std::fs::write(path, lines).unwrap();
        }
    }
    folder
}

fn cascade(broken: Option<Failure>) -> Cascade {
    Cascade::new(Arc::new(Reader::new(broken)))
}

fn evaluated(sets: &[(&str, Vec<Value>)]) -> Result<Report, EvalError> {
    let folder = folder(sets);
    evaluate(folder.path(), &cascade(None), &engine(), &mut |_, _| ())
}

fn mixed() -> Vec<Value> {
    vec![
        prompt("0.95 a", 1),
        prompt("0.85 b", 0),
        prompt("0.7 c", 1),
        prompt("0.1 d", 0),
        row("0.65 e", "response", &json!({"unsafe": 0, "hate": 0})),
        row("0.2 zanzibar", "comment", &json!({"hate": 1})),
    ]
}

/// A benign set of which one text in a hundred scores 0.75.
fn benign(n_rows: usize) -> Vec<Value> {
    (0..n_rows)
        .map(|idx| prompt(if idx == 0 { "0.75 x" } else { "0.3 x" }, 0))
        .collect()
}

#[test]
fn every_number_of_a_mixed_set_is_as_computed_by_hand() {
    let report = evaluated(&[
        ("mixed.jsonl.gz", mixed()),
        ("dolly_eval.jsonl", benign(50)),
    ]);
    let json = serde_json::to_value(report.unwrap()).unwrap();
    assert_eq!(json["model"], "reader@0123");
    assert!(
        json["policy"].as_str().unwrap().starts_with("tiny@"),
        "{json}"
    );
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len(), 3, "one for each set and labelled key");
    // Stopped are 0.95 (unsafe), 0.85 (redirected) and 0.65 (unsafe in a completion).
    let expected = json!({
        "set": "mixed", "key": "unsafe", "n": 5, "positives": 2,
        "auprc": 0.5 + 0.5 * 2.0 / 3.0, "auroc": 5.0 / 6.0,
        "f1": 0.5, "recall": 0.5, "fpr": 1.0 / 3.0,
        // 2 % of the benign set score 0.75: the 1 % point lies there, and only 0.95 above it.
        "recall_at_1pct_fpr": 0.5,
        "blocked": 0.5, "blocked_harmless": 2.0 / 3.0,
    });
    assert_eq!(results[1], expected);
    assert_eq!(results[2]["key"], "hate");
    assert_eq!(
        (&results[2]["recall"], &results[2]["fpr"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_pattern_that_blocks_counts_as_blocked() {
    let report = evaluated(&[(
        "a.jsonl",
        vec![prompt("0 nightfall", 0), prompt("0 other", 0)],
    )]);
    assert_eq!(report.unwrap().results[0].blocked, Some(0.5));
}

#[test]
fn numbers_without_meaning_are_null() {
    let report = evaluated(&[(
        "harmful.jsonl",
        vec![prompt("0.95 a", 1), prompt("0.1 b", 1)],
    )]);
    let json = serde_json::to_value(report.unwrap()).unwrap();
    let row = &json["results"][0];
    for absent in [
        "auprc",
        "auroc",
        "f1",
        "fpr",
        "recall_at_1pct_fpr",
        "blocked_harmless",
    ] {
        assert_eq!(row[absent], Value::Null, "{absent}");
    }
    assert_eq!(row["recall"], 0.5);
    assert_eq!(row["blocked"], 0.5);
}

#[test]
fn the_benign_sets_count_the_same_whatever_their_size() {
    // 1 of 10 in the small set is 5 % of the pool, though 1 of 210 of all texts.
    let quiet = (0..200).map(|_| prompt("0.3 x", 0)).collect();
    let sets = [
        ("arena_hard.jsonl", quiet),
        ("xquad_eval.jsonl", benign(10)),
        ("other.jsonl", vec![prompt("0.5 a", 1), prompt("0.8 b", 1)]),
    ];
    let report = evaluated(&sets).unwrap();
    let other = report
        .results
        .iter()
        .find(|row| row.set == "other")
        .unwrap();
    assert_eq!(other.recall_at_1pct_fpr, Some(0.5));
}

#[test]
fn progress_counts_every_row_of_every_set() {
    let folder = folder(&[("a.jsonl", benign(100)), ("b.jsonl.gz", mixed())]);
    std::fs::write(folder.path().join("README.md"), "not a set").unwrap();
    let mut told = Vec::new();
    let mut progress = |done, total| told.push((done, total));
    evaluate(folder.path(), &cascade(None), &engine(), &mut progress).unwrap();
    assert_eq!(told, [(0, 106), (64, 106), (100, 106), (106, 106)]);
}

#[track_caller]
fn check_refused(sets: &[(&str, Vec<Value>)], said: &str) {
    let error = evaluated(sets).unwrap_err().to_string();
    assert!(error.contains(said), "{error}");
}

#[test]
fn what_cannot_be_measured_is_said() {
    check_refused(&[], "no set in");
    check_refused(
        &[("a.jsonl", mixed()), ("a.jsonl.gz", mixed())],
        "set `a` stands in two files",
    );
    check_refused(
        &[("a.jsonl", vec![json!({"text": "no labels"})])],
        "row 1 of set `a` has no labels",
    );
    let missing = Path::new("no/such/folder");
    let error = evaluate(missing, &cascade(None), &engine(), &mut |_, _| ()).unwrap_err();
    assert!(error.to_string().contains("no/such/folder"), "{error}");
}

#[test]
fn a_classifier_that_fails_gives_no_report() {
    let folder = folder(&[("a.jsonl", mixed())]);
    let error = evaluate(
        folder.path(),
        &cascade(Some(Failure::NonFinite)),
        &engine(),
        &mut |_, _| (),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the classifier failed on set `a`, among rows 1 to 6"
    );
}

#[test]
fn the_table_is_aligned_and_ends_with_the_mean() {
    let table = evaluated(&[("mixed.jsonl", mixed()), ("dolly_eval.jsonl", benign(50))]);
    let expected = "\
set         key          n     pos  AUPRC  AUROC     F1  recall    FPR  recall@1%  blocked  blocked harmless
dolly_eval  unsafe      50       0                               0.000               0.000             0.000
mixed       unsafe       5       2  0.833  0.833  0.500   0.500  0.333      0.500    0.500             0.667
mixed       hate         2       1  0.500  0.000                            0.000    0.500             0.667
mean                                0.667  0.417  0.500   0.500  0.167      0.250    0.250             0.333
";
    let table = table.unwrap().to_table();
    assert_eq!(table, expected, "\n{table}");
}

#[test]
fn the_page_stands_alone_shows_curves_and_holds_no_text() {
    let html = evaluated(&[("<b>odd.jsonl", mixed())]).unwrap().to_html();
    assert_eq!(
        html.matches("<svg").count(),
        2,
        "a curve for each key with both classes"
    );
    assert!(
        html.contains("&lt;b&gt;odd") && !html.contains("<b>odd"),
        "names are escaped"
    );
    assert!(html.contains("prefers-color-scheme: dark"));
    for outside in [
        "http://", "https://", "src=", "href=", "@import", "url(", "<script",
    ] {
        assert!(
            !html.contains(outside),
            "`{outside}` reaches outside the page"
        );
    }
    assert!(!html.contains("zanzibar"), "texts are never included");
    assert!(!html.contains("NaN"));
}
