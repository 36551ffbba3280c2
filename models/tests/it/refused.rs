//! Directories that cannot be run faithfully, each refused with the file, the thing and the mend.

use crate::fixture::{Altered, Tensors, path};
use portcullis_models::{Kernels, LoadError, LoadOptions, Model, Precision};
use safetensors::Dtype;
use serde_json::{Value, json};

/// An altered directory is refused, and what is said contains each of `expected`.
fn check(name: &str, alter: impl FnOnce(&Altered), expected: &[&str]) {
    let altered = Altered::copy(name);
    altered.load().unwrap(); // sound before it is altered
    alter(&altered);
    let told = altered.refusal();
    for part in expected {
        assert!(told.contains(part), "`{told}` does not contain `{part}`");
    }
}

fn check_config(name: &str, key: &str, value: Value, expected: &[&str]) {
    let file = format!("`{key}` in `DIR/config.json` is ");
    let expected: Vec<&str> = [file.as_str()]
        .into_iter()
        .chain(expected.iter().copied())
        .collect();
    check(name, |altered| altered.config(key, value), &expected);
}

fn check_tensors(alter: impl FnOnce(&mut Tensors), expected: &[&str]) {
    check("bert-single", |altered| altered.tensors(alter), expected);
}

fn check_sidecar(sidecar: &Value, expected: &[&str]) {
    let alter = |altered: &Altered| altered.write("portcullis.json", sidecar.to_string());
    check("bert-single", alter, expected);
}

fn check_tokenizer(name: &str, alter: impl FnOnce(&mut Value), expected: &[&str]) {
    let alter = |altered: &Altered| {
        altered.json("tokenizer.json", |map| {
            let mut value = Value::Object(std::mem::take(map));
            alter(&mut value);
            *map = value.as_object_mut().map(std::mem::take).unwrap();
        });
    };
    check(name, alter, &[&["`DIR/tokenizer.json`"], expected].concat());
}

const QUERY: &str = "bert.encoder.layer.1.attention.self.query.weight";

#[test]
fn a_file_is_missing() {
    let missing = |file: &'static str| move |altered: &Altered| altered.remove(file);
    check(
        "bert-single",
        missing("config.json"),
        &["`DIR/config.json` is missing", "save_pretrained"],
    );
    check(
        "bert-single",
        missing("tokenizer.json"),
        &["`DIR/tokenizer.json` is missing", "fast tokenizer"],
    );
    check(
        "bert-single",
        missing("model.safetensors"),
        &["`DIR/model.safetensors` is missing", "put"],
    );
    check(
        "xlm-roberta",
        missing("model-00002-of-00003.safetensors"),
        &[
            "`DIR/model-00002-of-00003.safetensors` is missing",
            "fetch all shards",
        ],
    );
}

#[test]
fn weights_are_pickled() {
    for pickle in ["pytorch_model.bin", "model.pt"] {
        check(
            "bert-single",
            |altered| {
                altered.remove("model.safetensors");
                altered.write(pickle, "\u{80}");
            },
            &[
                &format!("`DIR/{pickle}` holds weights as pickle"),
                "safe_serialization=True",
            ],
        );
    }
}

#[test]
fn several_files_of_weights_have_no_index() {
    check(
        "bert-single",
        |altered| {
            altered.write("a.safetensors", altered.read("model.safetensors"));
            altered.write("b.safetensors", altered.read("model.safetensors"));
            altered.remove("model.safetensors");
        },
        &[
            "`DIR/model.safetensors` is missing",
            "model.safetensors.index.json",
        ],
    );
}

#[test]
fn an_index_names_no_files_of_the_directory() {
    for map in [
        json!({}),
        json!(null),
        json!({"a": "../x.safetensors"}),
        json!({"a": 1}),
    ] {
        check(
            "xlm-roberta",
            |altered| {
                altered.json("model.safetensors.index.json", |index| {
                    index.insert("weight_map".into(), map);
                });
            },
            &[
                "`weight_map` in `DIR/model.safetensors.index.json` is",
                "same directory",
            ],
        );
    }
}

#[test]
fn a_file_is_cut_off_or_altered() {
    let file = "`DIR/model.safetensors` is not a whole safetensors file: fetch it again";
    let cut = |keep: fn(usize) -> usize| {
        move |altered: &Altered| {
            let bytes = altered.read("model.safetensors");
            altered.write("model.safetensors", &bytes[..keep(bytes.len())]);
        }
    };
    check("bert-single", cut(|len| len - 1), &[file]);
    check("bert-single", cut(|len| len / 2), &[file]);
    check("bert-single", cut(|_| 100), &[file]);
    check("bert-single", cut(|_| 0), &[file]);
    check(
        "bert-single",
        |altered| {
            let mut bytes = altered.read("model.safetensors");
            bytes[7] = 0xFF;
            altered.write("model.safetensors", bytes);
        },
        &[file],
    );
    check(
        "bert-single",
        |altered| altered.write("config.json", "{"),
        &["`DIR/config.json` is not valid", "EOF"],
    );
    check(
        "bert-single",
        |altered| altered.write("config.json", "[]"),
        &["`DIR/config.json` is not valid"],
    );
}

#[test]
fn a_file_is_not_the_promised_one() {
    let promised = format!("sha256:{}", "0".repeat(64));
    for file in [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "reference.json",
    ] {
        check_sidecar(
            &json!({"digests": {file: promised}}),
            &[
                &format!("`DIR/{file}` has digest sha256:"),
                &promised,
                "fetch the file again",
            ],
        );
    }
    check_sidecar(
        &json!({"digests": {"scale.bin": promised}}),
        &["`DIR/scale.bin` is missing", "`digests`"],
    );
}

#[test]
fn an_architecture_is_not_supported() {
    let key = "architectures";
    let supported = ["not supported", "BertForSequenceClassification"];
    check_config("bert-single", key, json!(["LlamaForCausalLM"]), &supported);
    check_config("bert-single", key, json!(["BertForMaskedLM"]), &supported);
    check_config(
        "deberta-v3",
        key,
        json!(["DebertaV2ForTokenClassification"]),
        &supported,
    );
    check_config(
        "bert-single",
        key,
        json!(null),
        &["absent", "DistilBertForSequenceClassification"],
    );
}

#[test]
fn a_setting_is_not_supported() {
    let check = check_config;
    check(
        "bert-single",
        "hidden_act",
        json!("silu"),
        &["\"silu\"", "not supported", "`gelu`"],
    );
    check(
        "distilbert",
        "activation",
        json!("swish"),
        &["\"swish\"", "`relu`"],
    );
    let relative = json!("relative_key_query");
    check(
        "bert-single",
        "position_embedding_type",
        relative,
        &["not supported", "`absolute`"],
    );
    check(
        "bert-single",
        "is_decoder",
        json!(true),
        &["not supported", "false"],
    );
    check(
        "bert-single",
        "problem_type",
        json!("regression"),
        &["multi_label_classification"],
    );
    check(
        "deberta-v3",
        "conv_kernel_size",
        json!(3),
        &["not supported", "0"],
    );
    check(
        "deberta-v3",
        "norm_rel_ebd",
        json!("batch_norm"),
        &["`layer_norm`"],
    );
    check("deberta-v3", "pos_att_type", json!(["p2p"]), &["`c2p`"]);
    check(
        "deberta-v3",
        "embedding_size",
        json!(16),
        &["not supported", "32"],
    );
    check("modernbert-cls", "mlp_bias", json!(true), &["false"]);
    check(
        "modernbert-cls",
        "hidden_activation",
        json!("silu"),
        &["`gelu`"],
    );
    check(
        "modernbert-cls",
        "layer_types",
        json!(["full_attention"]),
        &["`sliding_attention`"],
    );
    let scaled = json!({"full_attention": {"rope_theta": 1.0, "rope_type": "yarn"}});
    check("modernbert-cls", "rope_parameters", scaled, &["`default`"]);
}

#[test]
fn a_setting_cannot_be_right() {
    let check = check_config;
    check(
        "bert-single",
        "num_attention_heads",
        json!(5),
        &["5", "a divisor of `hidden_size`, which is 64"],
    );
    check("distilbert", "n_heads", json!(3), &["a divisor of `dim`"]);
    check(
        "deberta-v3",
        "num_attention_heads",
        json!(7),
        &["a divisor"],
    );
    for value in [
        json!(0),
        json!(-3),
        json!("12"),
        json!(null),
        json!(1.5),
        json!(u64::MAX),
    ] {
        check("bert-single", "hidden_size", value, &["must be a"]);
    }
    check(
        "bert-single",
        "id2label",
        json!({"0": "A", "2": "B"}),
        &["map from \"0\", \"1\""],
    );
    check(
        "bert-single",
        "id2label",
        json!({"0": "A", "1": "A"}),
        &["all different"],
    );
    check(
        "bert-single",
        "layer_norm_eps",
        json!(-1.0),
        &["a positive number"],
    );
    check(
        "roberta",
        "max_position_embeddings",
        json!(2),
        &["more than 2"],
    );
}

#[test]
fn tensors_do_not_fit_the_config() {
    check(
        "bert-single",
        |altered| altered.config("vocab_size", json!(500)),
        &[
            "tensor `bert.embeddings.word_embeddings.weight` in `DIR/model.safetensors` has shape \
             [400, 64], but `config.json` makes it [500, 64]",
        ],
    );
    check(
        "bert-single",
        |altered| altered.config("id2label", json!({"0": "A", "1": "B"})),
        &["tensor `classifier.weight`", "[3, 64]", "[2, 64]"],
    );
    check(
        "modernbert-cls",
        |altered| altered.config("intermediate_size", json!(40)),
        &[
            "tensor `model.layers.0.mlp.Wi.weight`",
            "[96, 32]",
            "[80, 32]",
        ],
    );
    check(
        "deberta-v3",
        |altered| altered.config("position_buckets", json!(16)),
        &[
            "tensor `deberta.encoder.rel_embeddings.weight`",
            "[64, 32]",
            "[32, 32]",
        ],
    );
}

#[test]
fn a_tensor_is_missing() {
    for (name, tensor) in [
        ("bert-single", QUERY),
        ("bert-single", "bert.pooler.dense.weight"),
        ("bert-single", "classifier.bias"),
        ("distilbert", "pre_classifier.weight"),
        ("roberta", "classifier.out_proj.weight"),
        (
            "deberta-v2",
            "deberta.encoder.layer.0.attention.self.pos_key_proj.weight",
        ),
        ("deberta-v3", "pooler.dense.weight"),
        ("modernbert-cls", "model.layers.1.attn_norm.weight"),
        ("modernbert-cls", "head.norm.weight"),
    ] {
        check(
            name,
            |altered| altered.tensors(|tensors| assert!(tensors.remove(tensor).is_some())),
            &[
                &format!("tensor `{tensor}` of shape ["),
                "is missing in `DIR/model.safetensors`",
            ],
        );
    }
}

#[test]
fn a_tensor_is_misshapen_or_of_integers() {
    check_tensors(
        |tensors| {
            let (_, shape, _) = tensors.get_mut(QUERY).unwrap();
            *shape = vec![32, 128];
        },
        &[
            &format!("tensor `{QUERY}`"),
            "has shape [32, 128]",
            "[64, 64]",
        ],
    );
    check_tensors(
        |tensors| {
            let (dtype, ..) = tensors.get_mut(QUERY).unwrap();
            *dtype = Dtype::I32;
        },
        &[&format!("tensor `{QUERY}`"), "has type I32", "unquantized"],
    );
}

#[test]
fn a_weight_is_not_finite() {
    check_tensors(
        |tensors| {
            let (.., bytes) = tensors.get_mut(QUERY).unwrap();
            bytes[20..24].copy_from_slice(&f32::NAN.to_le_bytes());
        },
        &[&format!(
            "tensor `{QUERY}` in `DIR/model.safetensors` holds NaN at element 5"
        )],
    );
    // Infinite in half precision, in a model that runs on candle.
    check(
        "deberta-v2",
        |altered| {
            altered.tensors(|tensors| {
                let (.., bytes) = tensors.get_mut("pooler.dense.weight").unwrap();
                bytes[2..4].copy_from_slice(&0xFC00_u16.to_le_bytes());
            });
        },
        &["tensor `pooler.dense.weight`", "holds -inf at element 1"],
    );
}

#[test]
fn a_tokenizer_does_not_fit_or_work() {
    use self::check_tokenizer as check;
    check(
        "bert-single",
        |tokenizer| tokenizer["model"]["vocab"]["extra"] = json!(400),
        &[
            "gives token `extra` the id 400, but the model embeds 400 tokens",
            "this very model",
        ],
    );
    check(
        "bert-single",
        |tokenizer| *tokenizer = json!({"version": "1.0"}),
        &["not a usable tokenizer", "save it again"],
    );
    check(
        "bert-single",
        |tokenizer| tokenizer["post_processor"] = json!(null),
        &["special tokens around a text"],
    );
    check(
        "bert-single",
        |tokenizer| tokenizer["model"]["unk_token"] = json!("[NONE]"),
        &["`unk_token`", "unusual character"],
    );
    check(
        "xlm-roberta",
        |tokenizer| tokenizer["model"]["unk_id"] = json!(null),
        &["`unk_token`"],
    );
    check(
        "roberta",
        |tokenizer| tokenizer["model"]["dropout"] = json!(0.1),
        &["`dropout`", "null"],
    );
    let pairs = |tokenizer: &mut Value| {
        let single = tokenizer["post_processor"]["single"]
            .as_array_mut()
            .unwrap();
        single.retain(|piece: &Value| piece.get("Sequence").is_none());
    };
    check("bert-single", pairs, &["special tokens around a text"]);
}

#[test]
fn portcullis_json_is_wrong() {
    let check = check_sidecar;
    check(
        &json!({"lables": {}}),
        &["unknown key `lables` in `DIR/portcullis.json`, did you mean `labels`?"],
    );
    check(
        &json!({"threshold": 1}),
        &["unknown key `threshold`", "remove it"],
    );
    check(
        &json!({"labels": ["a"]}),
        &[
            "`labels` in `DIR/portcullis.json` is [\"a\"]",
            "map of strings",
        ],
    );
    check(
        &json!({"labels": {"BENINE": "x"}}),
        &["a map with `BENINE`", "BENIGN, INJECTION"],
    );
    check(
        &json!({"languages": "en"}),
        &["`languages`", "list of strings"],
    );
    check(
        &json!({"max_tokens": 513}),
        &["`max_tokens`", "is 513", "from 3 to 512"],
    );
    check(&json!({"max_tokens": 2}), &["from 3 to 512"]);
    check(
        &json!({"scale": "../scale.bin"}),
        &["`scale`", "same directory"],
    );
    check(
        &json!({"scale": "scale.bin"}),
        &["`DIR/scale.bin` is missing", "`scale`"],
    );
    for digests in [
        json!({"config.json": "md5:00"}),
        json!({"config.json": "sha256:00"}),
        json!({"../config.json": format!("sha256:{}", "0".repeat(64))}),
    ] {
        check(
            &json!({"digests": digests}),
            &["`digests`", "64 lower-case hexadecimal digits"],
        );
    }
}

#[test]
fn a_precision_is_not_to_be_had() {
    for (name, kernels) in [
        ("deberta-v3", None),
        ("modernbert-cls", None),
        ("bert-single", Some(Kernels::Candle)),
    ] {
        for precision in [Precision::Bf16, Precision::Int8] {
            let options = LoadOptions {
                precision: Some(precision),
                kernels,
            };
            let refused = Model::load(&path(name), &options);
            assert!(matches!(refused, Err(LoadError::Precision { .. })));
        }
    }
}
