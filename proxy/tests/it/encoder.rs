//! An encoder named by the configuration: in screening, and by itself at `/predict`.

use crate::setup::{chat, config, scratch, start, start_with};
use portcullis::gate::{BuildError, Gate};
use portcullis_config::{Encoder, EncoderModel};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A fixture of the models crate with a scale, made by the command line as a user would.
fn scaled_model() -> PathBuf {
    let dir = scratch("encoder");
    std::fs::create_dir_all(&dir).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/bert-multi");
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    let sidecar = r#"{"labels": {"toxic": "hate"}}"#;
    std::fs::write(dir.join("portcullis.json"), sidecar).unwrap();
    let texts = dir.join("harmless.jsonl");
    let lines = (0..220).map(|number| json!({"text": format!("bread number {number}")}));
    let lines: Vec<String> = lines.map(|line| line.to_string()).collect();
    std::fs::write(&texts, lines.join("\n")).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["model", "scale"])
        .arg(&dir)
        .arg("--texts")
        .arg(&texts)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    dir
}

fn logits(model: &Path, texts: &Path) -> Vec<serde_json::Value> {
    let printed = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["model", "logits"])
        .arg(model)
        .arg("--texts")
        .arg(texts)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&printed.stderr);
    assert!(printed.status.success(), "{said}");
    let lines = String::from_utf8(printed.stdout).unwrap();
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_logits_of_many_texts_come_in_their_order_and_hold_no_scale() {
    let model = scaled_model();
    let texts = model.join("texts.jsonl");
    let line = |n: u32| json!({"id": n.to_string(), "text": format!("loaf {n} of bread")});
    let mut lines: Vec<String> = (0..21).map(|n| line(n).to_string()).collect();
    std::fs::write(&texts, lines.join("\n")).unwrap();
    let mut forth = logits(&model, &texts);
    let ids: Vec<&str> = forth
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids[..3], ["0", "1", "2"]);
    assert!(forth[0]["logits"]["toxic"].is_number(), "{}", forth[0]);
    assert_ne!(forth[0]["logits"], forth[1]["logits"]);
    lines.reverse();
    std::fs::write(&texts, lines.join("\n")).unwrap();
    std::fs::remove_file(model.join("scale.json")).unwrap();
    std::fs::write(model.join("portcullis.json"), "{}").unwrap();
    let back = logits(&model, &texts);
    forth.reverse();
    assert_eq!(forth, back);
}

fn rules(model: PathBuf) -> Encoder {
    Encoder {
        model: EncoderModel::Directory(model),
        workers: Some(1),
        known: 1 << 20,
        ..Encoder::default()
    }
}

#[tokio::test]
async fn the_encoder_screens_every_text_and_stands_in_the_receipt() {
    let model = scaled_model();
    let setup = start_with(|config| config.encoder = rules(model)).await;
    let check = json!({"text": "how do I bake bread"});
    let reply = setup.post("/v1/guard/check", &check).await.json();
    assert_eq!(
        reply["receipt"]["parts"][0]["by"],
        json!(["pattern", "linear", "encoder"])
    );
    let reply = setup.post(crate::setup::CHAT, &chat("m", "hello")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let page = setup.metrics().await;
    for metric in [
        "portcullis_classifier_batch_tokens_count",
        "portcullis_classifier_queue_seconds_count{class=\"prompt\"}",
        "portcullis_classifier_infer_seconds_count{device=\"cpu\",model=\"encoder\"}",
    ] {
        let line = page.lines().find(|line| line.starts_with(metric));
        let line = line.unwrap_or_else(|| panic!("{metric} is not on the page"));
        assert!(!line.ends_with(" 0"), "{line}");
    }
}

#[tokio::test]
async fn predict_answers_in_the_shape_of_text_embeddings_inference() {
    let model = scaled_model();
    let setup = start_with(|config| config.encoder = rules(model)).await;
    let one = setup.post("/predict", &json!({"inputs": "bread"})).await;
    assert_eq!(one.status, 200, "{}", one.text());
    let labels = one.json();
    let labels = labels.as_array().unwrap();
    assert_eq!(labels.len(), 5);
    let scores: Vec<f64> = labels
        .iter()
        .map(|it| it["score"].as_f64().unwrap())
        .collect();
    assert!(
        scores.windows(2).all(|pair| pair[1] <= pair[0]),
        "highest first"
    );
    let many = json!({"inputs": ["bread", ""], "raw_scores": true});
    let many = setup.post("/predict", &many).await.json();
    assert_eq!(many.as_array().unwrap().len(), 2);
    let wrong = setup.post("/predict", &json!({"inputs": 1})).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.json()["error_type"], "Tokenizer");
    assert!(wrong.json()["error"].is_string());
    assert!(setup.upstream.requests().await.is_empty());
}

#[tokio::test]
async fn predict_reads_long_texts_off_the_servers_threads_and_to_their_end() {
    let model = scaled_model();
    let setup = start_with(|config| config.encoder = rules(model)).await;
    let long = "how do I bake bread ".repeat(2000);
    let whole = setup.post("/predict", &json!({"inputs": &long})).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    let start = json!({"inputs": &long, "truncate": true});
    assert_eq!(setup.post("/predict", &start).await.status, 200);
}

#[tokio::test]
async fn predict_without_time_is_refused_in_its_shape() {
    let model = scaled_model();
    let setup = start_with(|config| {
        config.encoder = rules(model);
        config.timeouts.screen = Duration::ZERO;
    })
    .await;
    let refused = setup.post("/predict", &json!({"inputs": "bread"})).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["error_type"], "Overloaded");
    assert!(setup.metrics().await.contains("reason=\"late\""));
}

#[tokio::test]
async fn without_an_encoder_predict_says_what_to_configure() {
    let setup = start().await;
    let reply = setup.post("/predict", &json!({"inputs": "bread"})).await;
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("encoder.model"), "{}", reply.text());
}

#[test]
fn a_model_that_cannot_be_used_is_an_error_at_start_that_names_it() {
    let mut config = config();
    config.encoder = rules(PathBuf::from("no/such/model"));
    let classifier = Arc::new(crate::classifier::Keywords::new());
    let error = Gate::new(config, classifier).unwrap_err();
    let BuildError::Encoder(error) = error else {
        panic!("{error}");
    };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("no/such/model"), "{source}");
}
