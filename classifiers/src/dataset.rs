//! Labelled texts on disk: JSON Lines, plain or gzipped, one row a line.
//!
//! The trainer and the evaluation read the same rows through this file, so both mean the same by a
//! label: a key that a row does not carry is *unknown*, never 0.
//! Start with [`read`], which gives the rows of one file one by one.

use flate2::read::MultiGzDecoder;
use portcullis_text::{Category, CategorySet, Content, Surface};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// What kind of text a row holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Written to a model.
    #[default]
    Prompt,
    /// Written by a model, or as an answer.
    Response,
    /// Written on a forum or a social network.
    Comment,
}

impl Role {
    /// The surface on which such a text is scored.
    #[must_use]
    pub const fn surface(self) -> Surface {
        match self {
            Self::Prompt | Self::Comment => Surface::User,
            Self::Response => Surface::Completion,
        }
    }
}

/// What is known about a text, category by category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    known: CategorySet,
    positive: CategorySet,
}

impl Labels {
    /// Notes that the category holds (`true`) or does not (`false`).
    pub fn set(&mut self, category: Category, holds: bool) {
        self.known.insert(category);
        if holds {
            self.positive.insert(category);
        }
    }

    /// Whether nothing at all is known.
    #[must_use]
    pub fn is_empty(self) -> bool {
        Category::ALL
            .into_iter()
            .all(|category| self.get(category).is_none())
    }

    /// Whether the category holds; `None` when nobody looked.
    #[must_use]
    pub const fn get(&self, category: Category) -> Option<bool> {
        if !self.known.contains(category) {
            return None;
        }
        Some(self.positive.contains(category))
    }
}

/// A labelled text.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Unique in its data set.
    pub id: String,
    /// The text.
    pub text: Content,
    /// What kind of text.
    pub role: Role,
    /// BCP 47 language.
    pub lang: String,
    /// The data set it comes from.
    pub source: String,
    /// Its licence, as the source states it.
    pub licence: String,
    /// What is known about it.
    pub labels: Labels,
    /// Rows of one group must stay on one side of any split.
    pub group: Option<String>,
    /// The prompt that a response answers, where it is known.
    pub context: Option<Content>,
}

/// Why a data file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not a row.
    #[error("line {line} of {} is not a labelled row", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A line carries a label outside the taxonomy, or one that is neither 0 nor 1.
    #[error("line {line} of {}: label `{label}: {value}` is not a category of 0 or 1", path.display())]
    UnknownLabel {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The key as written.
        label: String,
        /// The value as written.
        value: i64,
    },
}

/// Opens a `.jsonl` or `.jsonl.gz` file; rows are parsed as they are asked for.
///
/// # Errors
/// [`DatasetError::Unreadable`] when the file cannot be opened.
pub fn read(path: &Path) -> Result<Rows, DatasetError> {
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    let reader: Box<dyn BufRead + Send> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))))
    } else {
        Box::new(BufReader::new(file))
    };
    Ok(Rows {
        path: path.to_owned(),
        reader,
        line: 0,
        buffer: String::new(),
    })
}

/// The data files (`*.jsonl`, `*.jsonl.gz`) of a folder whose names begin with `prefix`, by name.
///
/// # Errors
/// [`DatasetError::Unreadable`] when the folder cannot be listed.
pub fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, DatasetError> {
    let entries = std::fs::read_dir(folder).map_err(|source| unreadable(folder, source))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| unreadable(folder, source))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_data = name.ends_with(".jsonl") || name.ends_with(".jsonl.gz");
        if is_data && name.starts_with(prefix) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The rows of one file. Blank lines are skipped.
pub struct Rows {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: usize,
    buffer: String,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("path", &self.path)
            .field("line", &self.line)
            .finish()
    }
}

impl Iterator for Rows {
    type Item = Result<Row, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.buffer.clear();
            self.line += 1;
            match self.reader.read_line(&mut self.buffer) {
                Ok(0) => return None,
                Ok(_) if self.buffer.trim().is_empty() => {}
                Ok(_) => return Some(self.parse()),
                Err(source) => return Some(Err(unreadable(&self.path, source))),
            }
        }
    }
}

/// A row as it stands in the file; only its text is needed.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: String,
    text: String,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    lang: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    licence: String,
    #[serde(default)]
    labels: BTreeMap<String, i64>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    meta: Meta,
}

/// What the source itself says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    context: Option<String>,
}

impl Rows {
    fn parse(&self) -> Result<Row, DatasetError> {
        let line: Line =
            serde_json::from_str(&self.buffer).map_err(|source| DatasetError::Malformed {
                path: self.path.clone(),
                line: self.line,
                source,
            })?;
        Ok(Row {
            labels: self.labels(&line.labels)?,
            id: line.id,
            text: line.text.into(),
            role: line.role,
            lang: line.lang,
            source: line.source,
            licence: line.licence,
            group: line.group,
            context: line.context.or(line.meta.context).map(Content::from),
        })
    }

    fn labels(&self, written: &BTreeMap<String, i64>) -> Result<Labels, DatasetError> {
        let mut labels = Labels::default();
        for (label, &value) in written {
            match (label.parse::<Category>(), value) {
                (Ok(category), 0 | 1) => labels.set(category, value == 1),
                _ => {
                    return Err(DatasetError::UnknownLabel {
                        path: self.path.clone(),
                        line: self.line,
                        label: label.clone(),
                        value,
                    });
                }
            }
        }
        Ok(labels)
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> DatasetError {
    DatasetError::Unreadable {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const ROW: &str = r#"{"id": "a-1", "text": "hello", "role": "response", "lang": "en",
        "source": "made", "licence": "CC0-1.0", "labels": {"hate": 1, "unsafe": 0}, "split": "dev"}"#;

    fn check(name: &str, bytes: &[u8], expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let rows: Result<Vec<Row>, _> = read(&path).unwrap().collect();
        let shown = match rows {
            Ok(rows) => {
                let label =
                    |row: &Row, c| row.labels.get(c).map_or("?", |v| if v { "1" } else { "0" });
                let show = |row: &Row| {
                    let hate = label(row, Category::Hate);
                    let (unsafe_, sexual) =
                        (label(row, Category::Unsafe), label(row, Category::Sexual));
                    format!("{} {:?} {hate}{unsafe_}{sexual}", row.id, row.role)
                };
                rows.iter().map(show).collect::<Vec<_>>().join("; ")
            }
            Err(error) => error.to_string(),
        };
        assert!(shown.contains(expected), "{shown}");
    }

    fn line() -> String {
        ROW.replace('\n', " ")
    }

    #[test]
    fn a_missing_label_is_unknown_and_never_0() {
        check(
            "rows.jsonl",
            format!("{}\n\n", line()).as_bytes(),
            "a-1 Response 10?",
        );
    }

    #[test]
    fn gzip_reads_like_plain() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(line().as_bytes()).unwrap();
        check("rows.jsonl.gz", &gzip.finish().unwrap(), "a-1 Response 10?");
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let bad = format!("{}\nnot json\n", line());
        check("rows.jsonl", bad.as_bytes(), "line 2 of ");
        let bad = line().replace("hate", "hatee");
        check(
            "rows.jsonl",
            bad.as_bytes(),
            "label `hatee: 1` is not a category of 0 or 1",
        );
        let bad = line().replace("\"hate\": 1", "\"hate\": 2");
        check("rows.jsonl", bad.as_bytes(), "label `hate: 2`");
    }

    #[test]
    fn only_data_files_with_the_prefix_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["train-1.jsonl.gz", "train-0.jsonl", "dev.jsonl", "train.md"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<_> = files(folder.path(), "train").unwrap();
        let names: Vec<_> = names.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["train-0.jsonl", "train-1.jsonl.gz"]);
    }
}
