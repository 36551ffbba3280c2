//! Directories that say the same in another way run the same.

use crate::fixture::{Altered, model, path, reference};
use portcullis_models::{Batch, LoadOptions, Model};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

fn logits(model: &Arc<Model>, name: &str) -> Vec<f32> {
    let mut batch = Batch::default();
    for case in reference(name).padded {
        batch.push(&case.ids);
    }
    model.worker().run(&batch, &|| false).unwrap().to_vec()
}

/// An altered directory loads and computes the same logits to the last bit.
fn check(name: &str, alter: impl FnOnce(&Altered)) -> Arc<Model> {
    let altered = Altered::copy(name);
    alter(&altered);
    let loaded = altered.load().unwrap();
    assert_eq!(logits(&loaded, name), logits(&model(name), name), "{name}");
    loaded
}

fn rename(altered: &Altered, rename: impl Fn(&str) -> String) {
    altered.tensors(|tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, tensor)| (rename(&name), tensor))
            .collect();
    });
}

#[test]
fn the_embedded_guard_is_a_directory_like_any_other() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("default/encoder");
    let embedded = Model::embedded(&LoadOptions::default()).unwrap();
    let options = LoadOptions {
        precision: Some(embedded.info().precision),
        ..LoadOptions::default()
    };
    let read = Model::load(&dir, &options).unwrap();
    assert_eq!(embedded.info(), read.info());
    assert_eq!(
        embedded.sidecar().scale.as_ref().unwrap().bytes,
        read.sidecar().scale.as_ref().unwrap().bytes
    );
    let logits = |model: &Arc<Model>| {
        let mut batch = Batch::default();
        batch.push(
            &model
                .tokenizer()
                .windows("how do I bake bread", 128, 0)
                .unwrap()[0]
                .ids,
        );
        model.worker().run(&batch, &|| false).unwrap().to_vec()
    };
    assert_eq!(logits(&Arc::new(embedded)), logits(&Arc::new(read)));
}

#[test]
fn a_body_may_be_saved_without_its_prefix() {
    for (name, prefix) in [
        ("bert-single", "bert."),
        ("distilbert", "distilbert."),
        ("roberta", "roberta."),
        ("deberta-v3", "deberta."),
        ("modernbert-cls", "model."),
    ] {
        check(name, |altered| {
            rename(altered, |tensor| {
                tensor.strip_prefix(prefix).unwrap_or(tensor).into()
            });
        });
    }
}

#[test]
fn layer_norms_may_have_their_old_names() {
    check("bert-single", |altered| {
        rename(altered, |tensor| {
            tensor
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta")
        });
    });
}

#[test]
fn tensors_of_no_use_are_left_alone() {
    check("bert-single", |altered| {
        altered.tensors(|tensors| {
            let ids = (safetensors::Dtype::I64, vec![1, 2], vec![0; 16]);
            tensors.insert("bert.embeddings.position_ids".into(), ids);
        });
    });
    check("bert-token", |altered| {
        altered.tensors(|tensors| tensors.retain(|name, _| !name.contains("pooler")));
    });
}

#[test]
fn weights_may_have_another_name_if_there_is_one_file() {
    check("bert-single", |altered| {
        altered.write("classifier.safetensors", altered.read("model.safetensors"));
        altered.write("pytorch_model.bin", "never read");
        altered.remove("model.safetensors");
    });
}

#[test]
fn modernbert_may_be_of_before_transformers_5() {
    check("modernbert-cls", |altered| {
        altered.json("config.json", |config| {
            config.remove("rope_parameters");
            config.remove("layer_types");
            config.insert("global_rope_theta".into(), json!(160_000.0));
            config.insert("local_rope_theta".into(), json!(10_000.0));
        });
    });
}

#[test]
fn deberta_may_name_its_attention_in_one_string() {
    check("deberta-v3", |altered| {
        altered.config("pos_att_type", json!("p2c|c2p"));
    });
}

#[test]
fn what_portcullis_json_says_is_handed_on() {
    let loaded = check("bert-single", |altered| {
        let digest = sha256(&altered.read("model.safetensors"));
        altered.write("scale.bin", "opaque");
        let sidecar = json!({
            "labels": {"INJECTION": "injection", "JAILBREAK": "jailbreak"},
            "languages": ["en", "de"],
            "digests": {"model.safetensors": format!("sha256:{digest}")},
            "scale": "scale.bin",
            "max_tokens": 256,
        });
        altered.write("portcullis.json", sidecar.to_string());
    });
    let sidecar = loaded.sidecar();
    let labels = [("INJECTION", "injection"), ("JAILBREAK", "jailbreak")];
    let labels: BTreeMap<String, String> = labels
        .map(|(own, category)| (own.into(), category.into()))
        .into();
    assert_eq!(sidecar.labels, labels);
    assert_eq!(sidecar.languages, ["en", "de"]);
    assert!(
        sidecar
            .scale
            .as_ref()
            .is_some_and(|scale| scale.path.ends_with("scale.bin"))
    );
    assert_eq!(loaded.info().max_tokens, 256);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_digest_is_of_what_is_in_the_files_and_not_of_where_they_are() {
    let digest = |altered: &Altered| altered.load().unwrap().info().digest.clone();
    let original = Model::load(&path("bert-single"), &Default::default()).unwrap();
    let copy = Altered::copy("bert-single");
    assert_eq!(digest(&copy), original.info().digest);
    assert_eq!(original.info().digest.len(), "sha256:".len() + 64);

    copy.config("transformers_version", json!("0"));
    let other_config = digest(&copy);
    copy.tensors(|tensors| {
        let (.., bytes) = tensors.get_mut("classifier.bias").unwrap();
        bytes[0] ^= 1;
    });
    let other_weights = digest(&copy);
    copy.json("tokenizer.json", |tokenizer| {
        tokenizer.remove("decoder");
    });
    let other_tokenizer = digest(&copy);
    let original = original.info().digest.clone();
    let mut all = vec![original, other_config, other_weights, other_tokenizer];
    let n_all = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), n_all);
}

/// Matrices in 8 bits with a factor for each row are those numbers in f32.
#[test]
fn matrices_may_be_kept_in_8_bits() {
    let eight = Altered::copy("bert-multi");
    let plain = Altered::copy("bert-multi");
    let mut exact = BTreeMap::new();
    eight.tensors(|tensors| {
        let mut scales = Vec::new();
        for (name, (dtype, shape, bytes)) in tensors.iter_mut() {
            let &[n_rows, width] = &shape[..] else {
                continue;
            };
            let factor = |row: usize| 1.0 / (64.0 + row as f32);
            let (values, _) = bytes.as_chunks();
            let values = values.iter().map(|value| f32::from_le_bytes(*value));
            let whole: Vec<i8> = values
                .enumerate()
                .map(|(idx, value)| (value / factor(idx / width)).round() as i8)
                .collect();
            let back = whole.iter().enumerate();
            let back = back
                .flat_map(|(idx, value)| (f32::from(*value) * factor(idx / width)).to_le_bytes());
            exact.insert(name.clone(), back.collect::<Vec<u8>>());
            let factors = (0..n_rows).flat_map(|row| factor(row).to_le_bytes());
            scales.push((
                format!("{name}.scale"),
                (safetensors::Dtype::F32, vec![n_rows], factors.collect()),
            ));
            *dtype = safetensors::Dtype::I8;
            *bytes = whole.iter().map(|value| value.cast_unsigned()).collect();
        }
        tensors.extend(scales);
    });
    plain.tensors(|tensors| {
        for (name, bytes) in exact {
            tensors.get_mut(&name).unwrap().2 = bytes;
        }
    });
    let (eight, plain) = (eight.load().unwrap(), plain.load().unwrap());
    assert_eq!(logits(&eight, "bert-multi"), logits(&plain, "bert-multi"));
    assert_ne!(
        logits(&eight, "bert-multi"),
        logits(&model("bert-multi"), "bert-multi")
    );
}
