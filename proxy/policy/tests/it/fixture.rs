//! A policy, and a classifier that goes by whole words.

use portcullis_config::{FailureRule, Policy};
use portcullis_policy::Engine;
use portcullis_policy::simulator::{Arrival, Report, Simulation, Step};
use portcullis_policy::stream::{ChannelKey, Hold, StreamConfig};
use portcullis_text::{Category, Detector, PartId, Scores, Span, Surface, Vectors, View, Window};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

pub(crate) const CONTENT: ChannelKey = ChannelKey {
    choice: 0,
    channel: 0,
};
pub(crate) const REASONING: ChannelKey = ChannelKey {
    choice: 0,
    channel: 1,
};
pub(crate) const TOOL: ChannelKey = ChannelKey {
    choice: 0,
    channel: 2,
};
pub(crate) const OTHER: ChannelKey = ChannelKey {
    choice: 1,
    channel: 0,
};

pub(crate) const RULES: &str = r#"{
    "name": "test",
    "categories": {
        "unsafe": {"completion": {"annotate": 0.99, "block": 0.9995}},
        "hate": {
            "prompt": {"annotate": 0.99, "block": 0.999},
            "completion": {"annotate": 0.99, "block": 0.999},
            "cite": "Acceptable use 1.3"
        },
        "violence": {"prompt": {"block": 0.999}, "completion": {"block": 0.999}},
        "cyber": {"prompt": {"block": 0.999}, "completion": {"block": 0.999}},
        "self_harm": {
            "prompt": {"redirect": 0.99},
            "completion": {"redirect": 0.99},
            "redirect_text": "You are not alone."
        },
        "advice_medical": {
            "prompt": {"disclaim": 0.99},
            "completion": {"disclaim": 0.99},
            "disclaimer": "Ask a doctor."
        }
    },
    "patterns": [
        {"id": "fruit", "deny": ["forbidden fruit"], "allow": ["forbidden fruit salad"],
         "then": "block", "cite": "House rule 7"},
        {"id": "codename", "deny": ["project nightfall"], "then": "redact",
         "directions": ["completion"], "replacement": "[project]"},
        {"id": "plan", "deny": ["nightfall plan"], "then": "redact", "replacement": "[plan]"},
        {"id": "whisper", "deny": ["whisper"], "then": "annotate", "directions": ["prompt"]}
    ]
}"#;

pub(crate) fn rules() -> Value {
    serde_json::from_str(RULES).unwrap()
}

pub(crate) fn engine() -> Arc<Engine> {
    compile(rules())
}

pub(crate) fn observing() -> Arc<Engine> {
    let mut rules = rules();
    rules["mode"] = json!("observe");
    compile(rules)
}

pub(crate) fn compile(rules: Value) -> Arc<Engine> {
    let policy: Policy = serde_json::from_value(rules).unwrap();
    Arc::new(Engine::compile(&policy).unwrap())
}

pub(crate) fn scores(given: &[(Category, f32)]) -> Scores {
    let mut all = [0.1; Category::COUNT];
    for (category, score) in given {
        all[category.index()] = *score;
    }
    Scores::new(all).unwrap()
}

pub(crate) fn window(surface: Surface, given: &[(Category, f32)]) -> Window {
    Window {
        span: Span {
            part: PartId(0),
            range: 0..1,
        },
        surface,
        view: View::Raw,
        detector: Detector::Linear,
        scores: scores(given),
        vectors: Vectors::NONE,
    }
}

/// Goes by whole words, so that the beginning of a harmless word can look bad.
pub(crate) fn by_words(text: &str) -> Result<Scores, FailureRule> {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let has = |word: &str| words.contains(&word);
    let mut found = Vec::new();
    let mut add = |seen: bool, category: Category, score: f32| {
        if seen {
            found.push((category, score));
        }
    };
    add(has("meh"), Category::Hate, 0.995);
    add(has("bad"), Category::Hate, 0.9992);
    add(has("worse"), Category::Violence, 0.9999);
    add(has("worse"), Category::Unsafe, 0.9999);
    add(has("sad"), Category::SelfHarm, 0.995);
    add(has("pill"), Category::AdviceMedical, 0.995);
    add(has("alpha") && has("omega"), Category::Cyber, 0.9999);
    match (has("broken"), has("flaky")) {
        (true, _) => Err(FailureRule::Closed),
        (false, true) => Err(FailureRule::Open),
        (false, false) => Ok(scores(&found)),
    }
}

pub(crate) fn text_of(key: ChannelKey, text: &str) -> Step {
    let (surface, hold) = match key {
        REASONING => (Surface::Reasoning, Hold::UntilScreened),
        TOOL => (Surface::ToolCall, Hold::UntilComplete),
        _ => (Surface::Completion, Hold::UntilScreened),
    };
    Step::Text {
        key,
        surface,
        hold,
        text: text.to_owned(),
    }
}

/// An answer of one channel with what stands around it.
pub(crate) fn answer(text: &str) -> Vec<Step> {
    vec![
        Step::Frame,
        text_of(CONTENT, text),
        Step::Close(0),
        Step::Frame,
    ]
}

pub(crate) fn play(engine: &Arc<Engine>, script: &[Step], arrival: &Arrival) -> Report {
    play_with(engine, StreamConfig::default(), script, arrival)
}

pub(crate) fn play_with(
    engine: &Arc<Engine>,
    config: StreamConfig,
    script: &[Step],
    arrival: &Arrival,
) -> Report {
    let engine = Arc::clone(engine);
    let start = Instant::now();
    Simulation {
        engine,
        config,
        script,
        arrival,
        classify: &by_words,
        start,
    }
    .run()
}
