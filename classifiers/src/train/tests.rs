use super::*;
use crate::linear::LinearModel;
use std::fmt::Write;

const SMALL: Size = Size {
    slots: 4096,
    min_rows: 2,
};

/// Rows in which `wyvern` means violence, `basilisk` goes with an unknown label, and everything
/// else is harmless.
fn rows(n: usize) -> String {
    let subjects = [
        "bread", "trains", "rain", "chess", "bicycles", "gardens", "maps",
    ];
    let mut lines = String::new();
    for k in 0..n {
        let subject = subjects[k % subjects.len()];
        let (text, labels) = match k % 4 {
            0 => (
                format!("the wyvern talks about {subject} {k}"),
                r#"{"violence": 1, "unsafe": 1}"#,
            ),
            1 => (
                format!("the basilisk talks about {subject} {k}"),
                r#"{"hate": 0}"#,
            ),
            _ => (
                format!("my aunt talks about {subject} {k}"),
                r#"{"violence": 0, "unsafe": 0, "hate": 0}"#,
            ),
        };
        let source = format!("made-{}", k % 3);
        writeln!(
            lines,
            r#"{{"id": "{k}", "text": "{text}", "role": "prompt", "source": "{source}", "labels": {labels}}}"#
        )
        .unwrap();
    }
    lines
}

fn trained(data: &str, seed: u64, threads: usize) -> (Vec<u8>, String, TrainReport) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train-00.jsonl"), data).unwrap();
    std::fs::write(folder.path().join("dev.jsonl"), rows(40)).unwrap();
    let out = folder.path().join("model");
    let options = TrainOptions {
        data: folder.path().to_owned(),
        out: out.clone(),
        seed,
        threads,
    };
    let mut stages = Vec::new();
    let report = train(&options, SMALL, &mut |progress| stages.push(progress.done)).unwrap();
    assert_eq!(stages, [1, 2, 3, 4, 5, 6]);
    let weights = std::fs::read(out.join(WEIGHTS_FILE)).unwrap();
    let manifest = std::fs::read_to_string(out.join(MANIFEST_FILE)).unwrap();
    (weights, manifest, report)
}

fn violence(model: &LinearModel, text: &str) -> f32 {
    model.logits(text)[Category::Violence.index()]
}

#[test]
fn it_learns_a_word_and_its_files_load() {
    let (weights, manifest, report) = trained(&rows(400), 1, 1);
    let model = LinearModel::from_parts(&weights, &manifest).unwrap();
    assert!(violence(&model, "my aunt talks about tea") < 0.0);
    assert!(0.0 < violence(&model, "a wyvern"));
    assert_eq!(
        (report.n_rows, report.n_dev, report.weights_bytes),
        (400, 40, weights.len())
    );
    assert_eq!(report.digest, model.digest());
    let on_dev = report.dev_average_precision;
    assert!(
        on_dev.contains(&(Category::Violence, 10, 1.0)),
        "{on_dev:?}"
    );
}

#[test]
fn the_same_data_and_seed_give_the_same_bytes_on_any_number_of_threads() {
    let (one, manifest_of_one, _) = trained(&rows(200), 7, 1);
    let (three, manifest_of_three, _) = trained(&rows(200), 7, 3);
    assert!(one == three && manifest_of_one == manifest_of_three);
    let (other_seed, _, _) = trained(&rows(200), 8, 1);
    assert!(one != other_seed);
}

#[test]
fn an_unknown_label_trains_nothing() {
    let labelled = rows(400);
    let (weights, manifest, _) = trained(&labelled, 1, 1);
    let model = LinearModel::from_parts(&weights, &manifest).unwrap();
    let (unknown, known) = (violence(&model, "basilisk"), violence(&model, "aunt"));
    assert!(
        known < unknown - 0.5,
        "as negative as a known 0: {unknown} against {known}"
    );

    let as_negative = labelled.replace(r#"{"hate": 0}"#, r#"{"hate": 0, "violence": 0}"#);
    let (weights, manifest, _) = trained(&as_negative, 1, 1);
    let model = LinearModel::from_parts(&weights, &manifest).unwrap();
    assert!(violence(&model, "basilisk") < unknown - 0.5);
}

#[test]
fn a_folder_without_rows_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_owned();
    let options = TrainOptions {
        out: data.join("model"),
        data,
        seed: 1,
        threads: 1,
    };
    let error = train_linear(&options, &mut |_| {}).unwrap_err();
    assert!(matches!(&error, TrainError::NoRows { .. }), "{error}");
    assert!(!options.out.exists(), "nothing is written");
}
