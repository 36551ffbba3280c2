//! Words that must not be in the tree: notes to self, stubs, paths of somebody's machine; and in
//! tests, waiting by the clock.

use crate::source::{self, Source};
use crate::steps::Outcome;

/// Notes to self and stubs, written so that this file does not hold them.
const SLIPS: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// First folders of absolute paths that only exist on a developer's machine.
const MACHINE_ROOTS: [&str; 4] = [
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
];

/// Files in which slips count.
const CODE: [&str; 6] = [".rs", ".py", ".sh", ".yaml", ".toml", "/run"];

/// What a test must not do.
const WAITS: [&str; 3] = [
    concat!("#[ig", "nore"),
    concat!("thread::", "sleep"),
    concat!("time::", "sleep"),
];

/// Looks for slips in code and for machine paths everywhere.
pub(crate) fn run() -> Outcome {
    judged(|file| [slips(file), machine_paths(file)].concat())
}

/// Looks for ignored and sleeping tests.
pub(crate) fn run_on_tests() -> Outcome {
    judged(waits)
}

fn judged(judge: fn(&Source) -> Vec<String>) -> Outcome {
    match source::files() {
        Ok(files) => Outcome::of(files.iter().flat_map(judge).collect()),
        Err(error) => Outcome::Failed(vec![error.to_string()]),
    }
}

fn slips(file: &Source) -> Vec<String> {
    if !CODE.iter().any(|end| file.path.ends_with(end)) {
        return Vec::new();
    }
    found(file, 0, |line| {
        SLIPS.into_iter().find(|slip| has_word(line, slip))
    })
}

fn machine_paths(file: &Source) -> Vec<String> {
    if file.path.ends_with(".lock") {
        return Vec::new();
    }
    found(file, 0, |line| {
        MACHINE_ROOTS.into_iter().find(|root| has_path(line, root))
    })
}

fn waits(file: &Source) -> Vec<String> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let from = if file.is_test() {
        0
    } else {
        file.tests_start()
    };
    found(file, from, |line| {
        WAITS.into_iter().find(|wait| line.contains(wait))
    })
}

/// One line per line of the file, from `from` on, in which `find` finds something.
fn found(file: &Source, from: usize, find: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
    let lines = file.text.lines().enumerate().skip(from);
    lines
        .filter_map(|(idx, line)| {
            find(line).map(|what| format!("{}:{}: `{what}`", file.path, idx + 1))
        })
        .collect()
}

/// Whether the word stands in the line by itself, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let before = line[..start].chars().next_back().is_some_and(is_part);
        let after = line[start + word.len()..]
            .chars()
            .next()
            .is_some_and(is_part);
        !before && (!after || word.ends_with('('))
    })
}

/// Whether an absolute path under `root` stands in the line (`a/root/` and `./root/` are not).
fn has_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(start, _)| {
        let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '}' | '*' | '>');
        !line[..start].chars().next_back().is_some_and(joins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::source;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let file = source(path, text);
        let faults = [slips(&file), machine_paths(&file), waits(&file)].concat();
        assert_eq!(faults, expected, "{path}: {text}");
    }

    #[test]
    fn a_note_to_self_is_named_with_its_line() {
        let note = concat!("fn a() {}\n// TO", "DO: more\n");
        check("a.rs", note, &[concat!("a.rs:2: `TO", "DO`")]);
        check(
            "a.rs",
            concat!("    todo", "!()"),
            &[concat!("a.rs:1: `todo", "!(`")],
        );
    }

    #[test]
    fn a_word_inside_another_is_no_slip() {
        check("a.rs", concat!("AUTO", "TO", "DOS"), &[]);
        check("weights.md", concat!("TO", "DO"), &[]);
    }

    #[test]
    fn a_machine_path_is_found_in_any_file() {
        check(
            "a.md",
            concat!("see `/wo", "rk/main`"),
            &[concat!("a.md:1: `/wo", "rk/`")],
        );
        check("a.md", concat!("the net", "/wo", "rk/ folder"), &[]);
    }

    #[test]
    fn a_wait_counts_in_tests_only() {
        let sleep = concat!("tokio::time::", "sleep(d).await;");
        let fault = concat!("`time::", "sleep`");
        check("proxy/src/a.rs", sleep, &[]);
        check(
            "proxy/tests/it/a.rs",
            sleep,
            &[&format!("proxy/tests/it/a.rs:1: {fault}")],
        );
        let unit = format!("#[cfg(test)]\nmod tests {{\n    {sleep}\n}}\n");
        check(
            "proxy/src/a.rs",
            &unit,
            &[&format!("proxy/src/a.rs:3: {fault}")],
        );
    }
}
