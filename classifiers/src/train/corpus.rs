//! The training texts as numbers: rows, their windows, and the n-grams of each window.

use super::TrainError;
use crate::dataset::{self, Role, Row};
use crate::linear::features::Features;
use crate::linear::table;
use crate::linear::window::Views;
use portcullis_text::{Category, Content};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::path::Path;

/// A row without its text.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// Its windows in [`Corpus::windows`].
    pub(crate) windows: Range<u32>,
    /// One bit per category: whether its label is known.
    pub(crate) known: u32,
    /// One bit per category: whether it holds; a subset of `known`.
    pub(crate) positive: u32,
    /// Number of its source in [`Corpus::sources`].
    pub(crate) source: u16,
    /// What kind of text.
    pub(crate) role: Role,
    /// Stable hash of its group or id.
    pub(crate) unit: u64,
}

/// A scored unit: its n-grams stand in [`Corpus::features`].
#[derive(Clone, Debug)]
pub(crate) struct WindowSpan {
    /// Its features.
    pub(crate) features: Range<u32>,
    /// `1 / sqrt(n)` over all its n-grams, kept or not.
    pub(crate) norm: f32,
}

/// Labelled texts as feature numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Corpus {
    pub(crate) texts: Vec<Content>,
    pub(crate) examples: Vec<Example>,
    pub(crate) windows: Vec<WindowSpan>,
    pub(crate) features: Vec<u32>,
    pub(crate) sources: Vec<String>,
}

impl Corpus {
    /// Reads the files of a folder whose names begin with `prefix`.
    pub(crate) fn read(folder: &Path, prefix: &str) -> Result<Self, TrainError> {
        let mut corpus = Self::default();
        let mut scratch = Features::default();
        let mut numbers = FxHashMap::default();
        for path in dataset::files(folder, prefix)? {
            for row in dataset::read(&path)? {
                corpus.push(&row?, &mut scratch, &mut numbers);
            }
        }
        Ok(corpus)
    }

    fn push(&mut self, row: &Row, scratch: &mut Features, numbers: &mut FxHashMap<String, u16>) {
        let source = *numbers.entry(row.source.clone()).or_insert_with(|| {
            self.sources.push(row.source.clone());
            (self.sources.len() - 1) as u16
        });
        let windows = self.push_text(&row.text, scratch);
        let (known, positive) = masks(row);
        let (role, unit) = (row.role, unit(row));
        self.examples.push(Example {
            windows,
            known,
            positive,
            source,
            role,
            unit,
        });
    }

    /// Adds a harmless prompt that stands in no file.
    pub(crate) fn push_made(&mut self, source: &str, text: &Content, known: u32, unit: u64) {
        let found = self.sources.iter().position(|name| name == source);
        let number = found.unwrap_or_else(|| {
            self.sources.push(source.to_owned());
            self.sources.len() - 1
        });
        let windows = self.push_text(text, &mut Features::default());
        self.examples.push(Example {
            windows,
            known,
            positive: 0,
            source: number as u16,
            role: Role::Prompt,
            unit,
        });
    }

    fn push_text(&mut self, text: &Content, scratch: &mut Features) -> Range<u32> {
        let first = self.windows.len() as u32;
        for piece in Views::of(text.expose()).as_written() {
            let begin = self.features.len() as u32;
            let ids = scratch.of(piece.text);
            self.features.extend_from_slice(ids);
            let end = self.features.len() as u32;
            self.windows.push(WindowSpan {
                features: begin..end,
                norm: table::norm(ids.len()),
            });
        }
        self.texts.push(text.clone());
        first..self.windows.len() as u32
    }

    /// Forgets the features; texts and labels stay.
    pub(crate) fn without_features(self) -> Self {
        Self {
            windows: Vec::new(),
            features: Vec::new(),
            ..self
        }
    }

    /// The features of a window.
    pub(crate) fn features_of(&self, window: &WindowSpan) -> &[u32] {
        &self.features[window.features.start as usize..window.features.end as usize]
    }

    /// The windows of an example.
    pub(crate) fn windows_of(&self, example: &Example) -> &[WindowSpan] {
        &self.windows[example.windows.start as usize..example.windows.end as usize]
    }

    /// Renumbers the features by `map` and drops those it does not know; norms stay.
    pub(crate) fn renumbered(&self, map: impl Fn(u32) -> Option<u32>) -> Self {
        let mut features = Vec::with_capacity(self.features.len() / 2);
        let mut windows = Vec::with_capacity(self.windows.len());
        for window in &self.windows {
            let begin = features.len() as u32;
            features.extend(self.features_of(window).iter().filter_map(|&id| map(id)));
            windows.push(WindowSpan {
                features: begin..features.len() as u32,
                norm: window.norm,
            });
        }
        Self {
            texts: self.texts.clone(),
            examples: self.examples.clone(),
            windows,
            features,
            sources: self.sources.clone(),
        }
    }
}

fn masks(row: &Row) -> (u32, u32) {
    let (mut known, mut positive) = (0, 0);
    for category in Category::ALL {
        let bit = 1 << category.index();
        match row.labels.get(category) {
            Some(true) => {
                known |= bit;
                positive |= bit;
            }
            Some(false) => known |= bit,
            None => {}
        }
    }
    (known, positive)
}

/// Rows of one group share it.
fn unit(row: &Row) -> u64 {
    let name = row.group.as_ref().unwrap_or(&row.id);
    let digest = blake3::hash(name.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}
