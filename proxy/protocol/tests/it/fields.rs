//! Every string that the providers' SDKs can write or read, and what becomes of it.
//!
//! `e2e/fields.py` lists the leaves of the SDKs' types in `fields/*.json`. The table beside each
//! list has a row for each leaf; here a document with that leaf is made from its path, read, and
//! held to the row. A row says, in columns parted by tabs:
//!
//! 1. the path;
//! 2. what happens to prose there (to its bytes, where the leaf is an array of numbers);
//! 3. what happens to a string that has the form of an identifier;
//! 4. what happens to the API's own words, where it names them.
//!
//! Each is a surface on which the text is screened, `unscreened: <reason>` for what is reported,
//! `refused`, or `ignored: <why>`; more than one are joined by ` + `. Files pass here, so that one
//! can see what happens to them; that the default refuses them is checked too.

mod document;

use crate::support::{ANTHROPIC, OPENAI, reader, split};
use bytes::Bytes;
use document::{Step, document, steps};
use portcullis_protocol::{Dialect, OnPart, ParseRules, Reason};
use portcullis_text::Surface;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const PROSE: &str = "zebra quartz prose";
const NAME: &str = "zebraquartz";
const SENTENCE: &str = "zebra_quartz_and-three.more";

/// The only reasons to leave a string out.
const WHY: &[&str] = &["word", "identifier", "base64", "model name"];

struct Suite {
    name: &'static str,
    dialect: Dialect,
    side: Side,
    leaves: &'static str,
    table: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
    Stream,
}

macro_rules! suite {
    ($name:literal, $dialect:ident, $side:ident) => {
        Suite {
            name: $name,
            dialect: $dialect,
            side: Side::$side,
            leaves: include_str!(concat!("fields/", $name, ".json")),
            table: include_str!(concat!("fields/", $name, ".tsv")),
        }
    };
}

const SUITES: &[Suite] = &[
    suite!("openai_request", OPENAI, Request),
    suite!("openai_response", OPENAI, Response),
    suite!("openai_stream", OPENAI, Stream),
    suite!("anthropic_request", ANTHROPIC, Request),
    suite!("anthropic_response", ANTHROPIC, Response),
    suite!("anthropic_stream", ANTHROPIC, Stream),
];

/// Every text with its surface, and what was reported.
type Read = (Vec<(Surface, String)>, Vec<Reason>);

struct Leaf {
    path: String,
    kind: String,
    words: Vec<String>,
}

impl Suite {
    fn leaves(&self) -> Vec<Leaf> {
        let list: Vec<Value> = serde_json::from_str(self.leaves).unwrap();
        let leaf = |leaf: &Value| Leaf {
            path: leaf["path"].as_str().unwrap().to_owned(),
            kind: leaf["kind"].as_str().unwrap().to_owned(),
            words: leaf["words"].as_array().map_or_else(Vec::new, |words| {
                let word = |word: &Value| word.as_str().unwrap().to_owned();
                words.iter().map(word).collect()
            }),
        };
        list.iter().map(leaf).collect()
    }

    /// The rows: path, then the three columns.
    fn rows(&self) -> BTreeMap<&'static str, Vec<&'static str>> {
        let mut rows = BTreeMap::new();
        for line in self.table.lines().filter(|line| !line.starts_with('#')) {
            let mut cells = line.split('\t');
            let path = cells.next().unwrap();
            let cells: Vec<&str> = cells.collect();
            assert_eq!(cells.len(), 3, "{}: {line}", self.name);
            assert!(rows.insert(path, cells).is_none(), "twice: {path}");
        }
        rows
    }

    /// The document with what its dialect cannot do without.
    fn whole(&self, mut document: Value) -> Value {
        let needed = match (self.dialect, self.side) {
            (_, Side::Request) => {
                json!({"model": "m", "messages": [{"role": "user", "content": "x"}]})
            }
            (Dialect::OpenAiChat, _) => json!({"choices": []}),
            (Dialect::AnthropicMessages, Side::Response) => json!({"content": []}),
            (Dialect::AnthropicMessages, Side::Stream) => json!({"index": 0}),
        };
        let fields = document.as_object_mut().unwrap();
        for (name, value) in needed.as_object().unwrap() {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
        document
    }

    /// What the reader does with the texts that `is_canary` knows.
    fn observe(&self, document: Value, is_canary: impl Fn(&str) -> bool, files: OnPart) -> String {
        let read = self.read(&self.whole(document), files);
        let Some((texts, reasons)) = read else {
            return "refused".to_owned();
        };
        let surfaces: BTreeSet<&str> = texts
            .iter()
            .filter(|(_, text)| is_canary(text))
            .map(|(surface, _)| surface.name())
            .collect();
        let mut all: Vec<String> = surfaces.iter().map(|name| (*name).to_owned()).collect();
        let reasons: BTreeSet<&str> = reasons.iter().map(|reason| reason.name()).collect();
        all.extend(reasons.iter().map(|reason| format!("unscreened: {reason}")));
        if all.is_empty() {
            return "ignored".to_owned();
        }
        all.join(" + ")
    }

    /// `None` where it was refused.
    fn read(&self, body: &Value, files: OnPart) -> Option<Read> {
        let rules = ParseRules {
            files,
            ..ParseRules::default()
        };
        let bytes = Bytes::from(body.to_string());
        let (parts, unscreened) = match self.side {
            Side::Stream => {
                let event = split(&format!("data: {body}\n\n")).remove(0);
                let read = reader(self.dialect).read(&event).ok()?;
                let texts = read.deltas.into_iter();
                let texts = texts.map(|delta| (delta.channel.surface(), delta.text));
                return Some((texts.collect(), read.unscreened.to_vec()));
            }
            Side::Request => {
                let read = self.dialect.parse(bytes, &rules).ok()?;
                (read.parts, read.unscreened)
            }
            Side::Response => {
                let read = self.dialect.parse_completion(bytes, 64).ok()?;
                (read.parts, read.unscreened)
            }
        };
        let text = |part: &portcullis_protocol::Part| {
            let text = part.content.expose().to_owned();
            (part.surface, text)
        };
        let reasons = unscreened.iter().map(|gap| gap.reason).collect();
        Some((parts.iter().map(text).collect(), reasons))
    }

    /// What the reader does with a leaf: the three columns.
    fn columns(&self, leaf: &Leaf, files: OnPart) -> [String; 3] {
        let path = steps(&leaf.path);
        let at = |value: Value| document(&path, value);
        let saw = |canary: &'static str, documents: &[Value]| {
            let seen: BTreeSet<String> = documents
                .iter()
                .map(|document| self.observe(document.clone(), |text| text.contains(canary), files))
                .collect();
            seen.into_iter().collect::<Vec<String>>().join(" or ")
        };
        if leaf.kind == "numbers" {
            // The path ends with the items.
            let bytes = json!(PROSE.as_bytes());
            let numbers = document(&path[..path.len() - 1], bytes);
            let none = "-".to_owned();
            return [saw(PROSE, &[numbers]), none.clone(), none];
        }
        let prose = if leaf.kind == "free" {
            let forms = [
                json!(PROSE),
                json!({"a": PROSE}),
                json!([PROSE]),
                json!({PROSE: 1}),
            ];
            saw(PROSE, &forms.map(at))
        } else {
            saw(PROSE, &[at(json!(PROSE))])
        };
        let name = saw(NAME, &[at(json!(NAME))]);
        let own: BTreeSet<String> = leaf
            .words
            .iter()
            .map(|word| self.observe(at(json!(word)), |text| text == word, files))
            .collect();
        let own = match own.len() {
            0 => "-".to_owned(),
            _ => own.into_iter().collect::<Vec<String>>().join(" or "),
        };
        [prose, name, own]
    }
}

/// Whether a row's cell says what was seen; of what is ignored it has to say why.
fn says(cell: &str, seen: &str) -> bool {
    match cell.strip_prefix("ignored: ") {
        Some(why) => seen == "ignored" && WHY.contains(&why),
        None => cell == seen && seen != "ignored",
    }
}

#[test]
fn every_leaf_has_a_row_and_every_row_a_leaf() {
    for suite in SUITES {
        let leaves: BTreeSet<String> = suite.leaves().into_iter().map(|leaf| leaf.path).collect();
        let rows = suite.rows();
        let missing: Vec<&String> = leaves
            .iter()
            .filter(|path| !rows.contains_key(path.as_str()))
            .collect();
        let stale: Vec<&&str> = rows
            .keys()
            .filter(|path| !leaves.contains(**path))
            .collect();
        assert!(
            missing.is_empty() && stale.is_empty(),
            "{}: leaves without a row {missing:#?}, rows without a leaf {stale:#?}",
            suite.name
        );
    }
}

#[test]
fn the_reader_does_with_every_leaf_what_its_row_says() {
    let mut wrong = Vec::new();
    for suite in SUITES {
        let rows = suite.rows();
        for leaf in suite.leaves() {
            let seen = suite.columns(&leaf, OnPart::Pass);
            let said = rows.get(leaf.path.as_str());
            let agrees = said.is_some_and(|cells| {
                let mut pairs = cells.iter().zip(&seen);
                pairs.all(|(cell, seen)| says(cell, seen))
            });
            if !agrees {
                wrong.push(format!(
                    "{}\t{}\t{}",
                    suite.name,
                    leaf.path,
                    seen.join("\t")
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "the reader does something else with {} leaves; what it does:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn no_leaf_takes_prose_unseen() {
    for suite in SUITES {
        for (path, cells) in suite.rows() {
            assert!(!cells[0].contains("ignored"), "{}: {path}", suite.name);
        }
    }
}

#[test]
fn words_joined_like_an_identifier_are_screened_too() {
    for suite in SUITES {
        let rows = suite.rows();
        for leaf in suite.leaves().iter().filter(|leaf| leaf.kind != "numbers") {
            if rows[leaf.path.as_str()][1] == "ignored: model name" {
                continue;
            }
            let body = document(&steps(&leaf.path), json!(SENTENCE));
            let seen = suite.observe(body, |text| text.contains(SENTENCE), OnPart::Pass);
            assert_ne!(seen, "ignored", "{}: {}", suite.name, leaf.path);
        }
    }
}

#[test]
fn files_are_refused_by_default_and_nothing_else_changes() {
    for suite in SUITES.iter().filter(|suite| suite.side == Side::Request) {
        for leaf in suite.leaves() {
            let passing = suite.columns(&leaf, OnPart::Pass);
            let refusing = suite.columns(&leaf, OnPart::Refuse);
            for (passing, refusing) in passing.iter().zip(&refusing) {
                let is_file = passing.contains("unscreened: file");
                let expected = if is_file { "refused" } else { passing };
                assert_eq!(refusing, expected, "{}", leaf.path);
            }
        }
    }
}

/// Text of people is never taken for the operator's, and the other way round.
#[test]
fn system_text_is_what_the_operator_wrote() {
    let is_system = |path: &str| {
        ["[role=system]", "[role=developer]"]
            .iter()
            .any(|role| path.contains(role))
            || path.starts_with("system")
    };
    for suite in SUITES {
        for (path, cells) in suite.rows() {
            let on_system = cells.iter().any(|cell| cell.contains("system"));
            assert!(!on_system || is_system(path), "{}: {path}", suite.name);
        }
    }
}

/// Every place where an object stands, as far as the SDKs know.
fn objects(suite: &Suite) -> BTreeSet<Vec<Step>> {
    let mut found = BTreeSet::new();
    for leaf in suite.leaves() {
        let path = steps(&leaf.path);
        for (idx, step) in path.iter().enumerate() {
            if matches!(step, Step::Field(_)) {
                found.insert(path[..idx].to_vec());
            }
        }
    }
    found
}

#[test]
fn a_new_field_is_screened_wherever_it_stands() {
    let contains = |text: &str| text.contains(PROSE);
    for suite in SUITES {
        for object in objects(suite) {
            for value in [json!(PROSE), json!([{"deep": PROSE}]), json!({PROSE: 1})] {
                let mut path = object.clone();
                path.push(Step::Field("brand_new_field".to_owned()));
                let seen = suite.observe(document(&path, value), contains, OnPart::Pass);
                assert!(
                    Surface::ALL.iter().any(|known| seen.contains(known.name())),
                    "{}: {path:?} was {seen}",
                    suite.name
                );
            }
        }
    }
}

#[test]
fn text_under_a_new_type_or_role_is_screened_or_refused() {
    let contains = |text: &str| text.contains(PROSE);
    for suite in SUITES {
        for leaf in suite.leaves().iter().filter(|leaf| leaf.kind == "text") {
            let path = steps(&leaf.path);
            for idx in 0..path.len() {
                let Step::Is(name, _) = &path[idx] else {
                    continue;
                };
                let mut path = path.clone();
                path[idx] = Step::Is(name.clone(), "brand_new".to_owned());
                let seen = suite.observe(document(&path, json!(PROSE)), contains, OnPart::Pass);
                assert_ne!(seen, "ignored", "{}: {path:?}", suite.name);
                let is_system = seen.contains("system") && name == "role";
                assert!(!is_system, "{}: {path:?}", suite.name);
            }
        }
    }
}
