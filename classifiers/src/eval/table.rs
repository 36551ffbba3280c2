//! The report as a table for people, and the columns that the page shares with it.

use super::report::{Report, SetResult};
use std::fmt::Write as _;

/// A column of numbers.
pub(super) struct Column {
    pub(super) heading: &'static str,
    /// What it says, in a sentence.
    pub(super) meaning: &'static str,
    pub(super) value: fn(&SetResult) -> Option<f64>,
    /// Whether it belongs to the set and repeats on each of its rows; the mean counts it once.
    is_of_set: bool,
}

pub(super) const COLUMNS: [Column; 8] = [
    Column {
        heading: "AUPRC",
        meaning: "area under the precision-recall curve (average precision)",
        value: |row| row.auprc,
        is_of_set: false,
    },
    Column {
        heading: "AUROC",
        meaning: "chance that a positive scores above a negative; a tie counts half",
        value: |row| row.auroc,
        is_of_set: false,
    },
    Column {
        heading: "F1",
        meaning: "harmonic mean of precision and recall at the policy's block threshold",
        value: |row| row.f1,
        is_of_set: false,
    },
    Column {
        heading: "recall",
        meaning: "share of the positives that reach the policy's block threshold",
        value: |row| row.recall,
        is_of_set: false,
    },
    Column {
        heading: "FPR",
        meaning: "share of the negatives that reach the policy's block threshold",
        value: |row| row.fpr,
        is_of_set: false,
    },
    Column {
        heading: "recall@1%",
        meaning: "share of the positives above the score that 1 % of the benign sets lie above",
        value: |row| row.recall_at_1pct_fpr,
        is_of_set: false,
    },
    Column {
        heading: "blocked",
        meaning: "share of the whole set that the policy blocks or redirects, for any reason",
        value: |row| row.blocked,
        is_of_set: true,
    },
    Column {
        heading: "blocked harmless",
        meaning: "the same among the set's texts labelled harmless",
        value: |row| row.blocked_harmless,
        is_of_set: true,
    },
];

impl Column {
    /// The mean of all results that have this number.
    pub(super) fn mean(&self, results: &[SetResult]) -> Option<f64> {
        let (mut sum, mut n) = (0.0, 0.0);
        let mut set_before = None;
        for row in results {
            let is_repeated = self.is_of_set && set_before == Some(&row.set);
            set_before = Some(&row.set);
            if let Some(value) = (self.value)(row).filter(|_| !is_repeated) {
                sum += value;
                n += 1.0;
            }
        }
        (0.0 < n).then_some(sum / n)
    }
}

/// Three decimals, or nothing where the number has no meaning.
pub(super) fn shown(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.3}")).unwrap_or_default()
}

impl Report {
    /// A table for people: a row for each set and category, the mean last.
    #[must_use]
    pub fn to_table(&self) -> String {
        let width = |longest: Option<usize>, heading: &str| longest.unwrap_or(0).max(heading.len());
        let set_width = width(
            self.results.iter().map(|row| row.set.chars().count()).max(),
            "set",
        );
        let key_width = width(
            self.results.iter().map(|row| row.key.name().len()).max(),
            "key",
        );
        let line =
            |set: &str, key: &str, counts: [String; 2], cells: &dyn Fn(&Column) -> String| {
                let [n, positives] = counts;
                let mut line =
                    format!("{set:set_width$}  {key:key_width$}  {n:>6}  {positives:>6}");
                for column in &COLUMNS {
                    let cell_width = column.heading.len().max(5);
                    // Writing to a `String` cannot fail.
                    let _ = write!(line, "  {:>cell_width$}", cells(column));
                }
                line.truncate(line.trim_end().len());
                line.push('\n');
                line
            };

        let mut table = line("set", "key", ["n".into(), "pos".into()], &|column| {
            column.heading.into()
        });
        for row in &self.results {
            let counts = [row.n.to_string(), row.positives.to_string()];
            table += &line(&row.set, row.key.name(), counts, &|column| {
                shown((column.value)(row))
            });
        }
        table += &line("mean", "", [String::new(), String::new()], &|column| {
            shown(column.mean(&self.results))
        });
        table
    }
}
