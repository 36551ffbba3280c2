//! The command line as a person meets it: what it says, and with which exit code.

use crate::setup::scratch;
use std::path::Path;
use std::process::{Command, Output};

fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .output()
        .unwrap()
}

/// The command ends with this code, and says each of these.
fn check(arguments: &[&str], code: i32, says: &[&str]) {
    let output = portcullis(arguments);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    for expected in says {
        assert!(
            said.contains(expected),
            "{arguments:?} does not say `{expected}`:\n{said}"
        );
    }
}

fn file(name: &str, text: &str) -> String {
    let path = scratch(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_wrong_key_is_shown_with_its_line_and_the_nearest_right_one() {
    let config = file("wrong.yaml", "listen: 127.0.0.1:0\nlimit: {body: 1MiB}\n");
    for command in [vec!["check", &config], vec!["serve", "--config", &config]] {
        check(&command, 2, &["wrong.yaml:2:1", "limit", "limits"]);
    }
}

#[test]
fn a_file_that_is_not_there_is_the_environments_fault() {
    check(
        &["serve", "--config", "nowhere.yaml"],
        3,
        &["nowhere.yaml", "No such file"],
    );
    check(&["check", "nowhere.yaml"], 3, &["nowhere.yaml"]);
}

#[test]
fn a_taken_port_is_the_environments_fault() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(
        &["serve", "--listen", &address, "--admin", "127.0.0.1:0"],
        3,
        &[&address, "listen"],
    );
}

#[test]
fn wrong_usage_is_2() {
    check(&["serve", "--no-such-flag"], 2, &["--no-such-flag"]);
    check(&["classify"], 2, &["TEXT"]);
    check(&["classify", "--on", "moon", "x"], 2, &["tool_result"]);
}

#[test]
fn a_valid_file_is_fine_and_the_schema_is_json() {
    let config = file("right.yaml", "listen: 127.0.0.1:0\npolicy: strict\n");
    check(&["check", &config], 0, &["valid configuration"]);
    let schema = portcullis(&["schema"]).stdout;
    assert!(
        serde_json::from_slice::<serde_json::Value>(&schema).unwrap()["properties"]["policy"]
            .is_object()
    );
}

#[test]
fn the_shipped_policies_pass_their_own_tests() {
    for policy in portcullis_config::SHIPPED {
        check(
            &["policy", "test", "--policy", policy],
            0,
            &[" passed, 0 failed"],
        );
    }
}

#[test]
fn a_policy_that_fails_its_test_is_1_and_explain_names_the_row() {
    let policy = file(
        "policy.yaml",
        "name: mine\npatterns: [{id: word, deny: [xylophone], then: block}]\ntests:\n  - {say: xylophone, expect: allow}\n",
    );
    check(
        &["policy", "test", "--policy", &policy],
        1,
        &["0 passed, 1 failed", "expected allow"],
    );
    check(
        &["policy", "explain", "--policy", &policy, "a xylophone"],
        0,
        &["word", "block"],
    );
}

#[test]
fn the_encoder_is_the_embedded_one_unless_the_configuration_says_none() {
    check(
        &["model", "list"],
        0,
        &["linear   embedded", "encoder  embedded, BERT"],
    );
    let config = file("none.yaml", "encoder: {model: none}\n");
    check(
        &["model", "list", "--config", &config],
        0,
        &["encoder  none"],
    );
    check(
        &["doctor", "--config", &config],
        0,
        &["note encoder      none"],
    );
    let config = file("nowhere.yaml", "encoder: {model: no/such/model}\n");
    check(
        &["classify", "--config", &config, "x"],
        3,
        &["no/such/model"],
    );
}

#[test]
fn the_card_was_measured_with_the_embedded_models() {
    let says = |arguments: &[&str]| String::from_utf8(portcullis(arguments).stdout).unwrap();
    let (list, card) = (says(&["model", "list"]), says(&["model", "card"]));
    let digests: Vec<&str> = list
        .split_whitespace()
        .filter(|word| 64 <= word.len())
        .collect();
    assert_eq!(digests.len(), 2, "{list}");
    for digest in digests {
        assert!(card.contains(digest), "the card is not of {digest}");
    }
}

#[test]
fn texts_are_classified_alone_and_by_file() {
    check(
        &["classify", "how do I bake bread"],
        0,
        &["action", "allow"],
    );
    let lines = file(
        "texts.jsonl",
        "{\"id\": 7, \"text\": \"how do I bake bread\"}\n",
    );
    check(
        &["classify", "--json", "--file", &lines],
        0,
        &["\"id\":7", "\"action\":\"allow\"", "\"violence\""],
    );
    let many: String = (0..20)
        .map(|id| format!("{{\"id\": {id}, \"text\": \"loaf {id} of bread\"}}\n"))
        .collect();
    let many = file("many.jsonl", &many);
    let printed = portcullis(&["classify", "--json", "--file", &many]).stdout;
    let printed = String::from_utf8(printed).unwrap();
    for (id, line) in printed.lines().enumerate() {
        assert!(line.contains(&format!("\"id\":{id},")), "{id}: {line}");
    }
    assert_eq!(printed.lines().count(), 20);
    let broken = file("broken.jsonl", "{\"text\": \"x\"}\nnot json\n");
    check(&["classify", "--file", &broken], 2, &["broken.jsonl:2"]);
}

#[test]
fn an_evaluation_gives_every_figure_and_a_page_that_needs_nothing_else() {
    let data = scratch("set.jsonl");
    let row = |id: usize, text: &str, label: u8| {
        format!(
            "{{\"id\":\"{id}\",\"text\":\"{text}\",\"role\":\"prompt\",\"lang\":\"en\",\"source\":\"t\",\"licence\":\"CC0\",\"labels\":{{\"unsafe\":{label}}},\"split\":\"eval\"}}\n"
        )
    };
    std::fs::write(
        &data,
        row(1, "kill him with a bomb", 1) + &row(2, "how do I bake bread", 0),
    )
    .unwrap();
    let folder = data.parent().unwrap().display().to_string();
    let page = Path::new(&folder).join("report.html").display().to_string();
    let output = portcullis(&["eval", "--data", &folder, "--json", "--html", &page]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = &report["results"][0];
    for figure in [
        "set",
        "key",
        "n",
        "positives",
        "auprc",
        "auroc",
        "f1",
        "recall",
        "fpr",
        "recall_at_1pct_fpr",
    ] {
        assert!(
            result.get(figure).is_some(),
            "{figure} is missing: {result}"
        );
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && !page.contains("http://") && !page.contains("https://"));
    assert!(
        !page.contains("bake bread"),
        "texts do not belong in the report"
    );
}

#[test]
fn the_demonstration_shows_at_least_eight_exchanges() {
    let output = portcullis(&["demo", "--once"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for (scene, action) in [
        ("an ordinary question", "allow"),
        ("a harmful prompt", "block"),
        ("a jailbreak", "block"),
        ("obfuscated text", "block"),
        ("a harmful completion, streamed", "block"),
        ("a name the operator redacts", "redact"),
        ("a topic that wants a disclaimer", "disclaim"),
        ("a chat command", "command"),
    ] {
        let row = said.lines().find(|line| line.starts_with(scene));
        assert!(
            row.is_some_and(|row| row.contains(action)),
            "{scene} should be {action}:\n{said}"
        );
    }
    assert!(said.contains("base_url"));
}
