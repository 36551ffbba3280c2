//! The files a check looks at, and which lines of them are tests.

use std::fs;
use std::io;
use std::process::Command;

/// A text file of the repository.
pub(crate) struct Source {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) text: String,
}

/// Every text file that git tracks or would track; binary files are left out.
///
/// # Errors
/// When git cannot be run here.
pub(crate) fn files() -> io::Result<Vec<Source>> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()?;
    if !listed.status.success() {
        return Err(io::Error::other("git ls-files failed; is this a clone?"));
    }
    let paths = String::from_utf8_lossy(&listed.stdout).into_owned();
    let read = |path: &str| {
        // A path that is listed but deleted, or that is not text, has nothing to check.
        fs::read_to_string(path).ok().map(|text| Source {
            path: path.to_owned(),
            text,
        })
    };
    Ok(paths.lines().filter_map(read).collect())
}

impl Source {
    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/")
    }

    /// The index of the line where the test module begins; the number of lines without one.
    ///
    /// By convention the test module stands last in a file.
    pub(crate) fn tests_start(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let begins = |pair: &[&str]| {
            pair[0].trim() == "#[cfg(test)]"
                && pair[1].trim().starts_with("mod ")
                && pair[1].contains('{')
        };
        lines.windows(2).position(begins).unwrap_or(lines.len())
    }
}

#[cfg(test)]
pub(crate) fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_module_starts_at_its_attribute() {
        let file = source("a.rs", "fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(file.tests_start(), 2);
    }

    #[test]
    fn a_test_module_in_another_file_cuts_nothing() {
        let file = source("a.rs", "#[cfg(test)]\nmod support;\nfn a() {}\n");
        assert_eq!(file.tests_start(), 3);
    }
}
