//! File lengths: a file tells one story, and 500 lines is a long one.

use crate::source::{self, Source};
use crate::steps::Outcome;

/// Lines past which a file is named as advice.
const LONG: usize = 500;
/// Lines past which the check fails.
const TOO_LONG: usize = 800;

/// Measures every Rust file without its test module.
pub(crate) fn run() -> Outcome {
    match source::files() {
        Ok(files) => judge(&files),
        Err(error) => Outcome::Failed(vec![error.to_string()]),
    }
}

fn judge(files: &[Source]) -> Outcome {
    let mut long: Vec<(usize, &str)> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .map(|file| (file.tests_start(), file.path.as_str()))
        .filter(|(lines, _)| LONG < *lines)
        .collect();
    long.sort_unstable_by(|a, b| b.cmp(a));
    let lines = |(lines, path): &(usize, &str)| format!("{path}: {lines} lines without tests");
    let named = long.iter().map(lines).collect();
    if long.iter().any(|(lines, _)| TOO_LONG < *lines) {
        return Outcome::Failed(named);
    }
    Outcome::Passed(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::source;

    fn check(code_lines: usize, test_lines: usize) -> Outcome {
        let code = "fn a() {}\n".repeat(code_lines);
        let tests = "    // a line\n".repeat(test_lines);
        let text = format!("{code}#[cfg(test)]\nmod tests {{\n{tests}}}\n");
        judge(&[source("a.rs", &text)])
    }

    #[test]
    fn tests_do_not_count() {
        assert!(matches!(check(400, 900), Outcome::Passed(notes) if notes.is_empty()));
    }

    #[test]
    fn a_long_file_is_named_and_a_very_long_one_fails() {
        assert!(matches!(check(501, 0), Outcome::Passed(notes) if notes.len() == 1));
        assert!(matches!(check(801, 0), Outcome::Failed(faults) if faults.len() == 1));
    }
}
