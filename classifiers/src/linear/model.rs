//! A loaded model: the table of weights and the scale its scores stand on.

use super::features::Features;
use super::format::{self, LoadError, MANIFEST_FILE, Manifest, WEIGHTS_FILE};
use super::table::Table;
use super::window::{Piece, Views};
use crate::Unit;
use crate::scale::Scale;
use portcullis_text::{Category, Surface};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The default model, compiled in.
const DEFAULT_WEIGHTS: &[u8] = include_bytes!("../../../models/default/weights.bin");
const DEFAULT_MANIFEST: &str = include_str!("../../../models/default/manifest.json");

/// Bytes of a text for which what is said of it is put together.
const BLOCK_BYTES: usize = 512;
/// What came from more blocks is said of the whole text, so that long texts cost no more than their
/// length.
const MOST_BLOCKS: usize = 64;

/// A loaded linear model with its score scale; about 12 MB. Share it behind an `Arc`.
#[derive(Debug)]
pub struct LinearModel {
    table: Table,
    scale: Scale,
    digest: String,
}

impl LinearModel {
    /// The default model, which is compiled in; checked like any other, and one for the process.
    ///
    /// # Errors
    /// [`LoadError`] when the compiled-in files do not agree with each other.
    pub fn embedded() -> Result<Arc<Self>, LoadError> {
        static EMBEDDED: OnceLock<Arc<LinearModel>> = OnceLock::new();
        if let Some(model) = EMBEDDED.get() {
            return Ok(Arc::clone(model));
        }
        let model = Arc::new(Self::from_parts(DEFAULT_WEIGHTS, DEFAULT_MANIFEST)?);
        Ok(Arc::clone(EMBEDDED.get_or_init(|| model)))
    }

    /// Reads a model folder: `manifest.json` and `weights.bin`.
    ///
    /// # Errors
    /// [`LoadError`], naming the file or the number that is wrong.
    pub fn load(directory: &Path) -> Result<Self, LoadError> {
        let file = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).map_err(|source| LoadError::Unreadable { path, source })
        };
        let manifest = file(MANIFEST_FILE)?;
        Self::from_parts(&file(WEIGHTS_FILE)?, &String::from_utf8_lossy(&manifest))
    }

    /// Checks the weights against the manifest and takes them over.
    ///
    /// # Errors
    /// [`LoadError`]: another version, a digest that does not match, a number that cannot be.
    pub fn from_parts(weights: &[u8], manifest: &str) -> Result<Self, LoadError> {
        let manifest = Manifest::parse(manifest)?;
        manifest.vouch(weights)?;
        let (table, scale) = format::decode(weights)?;
        Ok(Self {
            table,
            scale,
            digest: manifest.weights.blake3,
        })
    }

    /// Raw logits of a whole text: for each category the largest over its views and windows.
    ///
    /// Linear in the text.
    #[must_use]
    pub fn logits(&self, text: &str) -> [f32; Category::COUNT] {
        let mut features = Features::default();
        let mut largest = [f32::NEG_INFINITY; Category::COUNT];
        for piece in Views::of(text).pieces() {
            take_larger(&mut largest, &self.piece_logits(&mut features, &piece));
        }
        largest
    }

    /// What it says of each window of a text of `len` bytes in every view, wide and narrow.
    pub(crate) fn said(&self, views: &Views, len: usize) -> Said {
        let mut features = Features::default();
        let mut said = Said::nothing(len);
        for piece in views.close_pieces() {
            said.add(&piece.origin, &self.piece_logits(&mut features, &piece));
        }
        said
    }

    /// Raw logits of one window of one view.
    pub(crate) fn piece_logits(
        &self,
        features: &mut Features,
        piece: &Piece<'_>,
    ) -> [f32; Category::COUNT] {
        self.table.logits(features, piece.text)
    }

    /// Logits on the score scale.
    #[must_use]
    pub fn scores(
        &self,
        logits: &[f32; Category::COUNT],
        surface: Surface,
        unit: Unit,
    ) -> [f32; Category::COUNT] {
        Category::ALL.map(|c| self.scale.score(c, surface, unit, logits[c.index()]))
    }

    /// The probability of each category for a whole text, where the development set holds enough
    /// positives to fit one; for `/v1/moderations`.
    #[must_use]
    pub fn probabilities(&self, text: &str) -> [Option<f32>; Category::COUNT] {
        let logits = self.logits(text);
        Category::ALL.map(|c| self.scale.probability(c, logits[c.index()]))
    }

    /// The scale its scores stand on.
    #[must_use]
    pub const fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Digest of weights and scale, hexadecimal blake3.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Raw logits by place: the largest of the windows that touch each block of a text.
#[derive(Debug)]
pub(crate) struct Said {
    blocks: Vec<[f32; Category::COUNT]>,
    /// Of windows that came from more than [`MOST_BLOCKS`], as those of a long encoded run do.
    everywhere: [f32; Category::COUNT],
    /// Of all windows.
    most: [f32; Category::COUNT],
}

impl Said {
    fn nothing(len: usize) -> Self {
        let nothing = [f32::NEG_INFINITY; Category::COUNT];
        Self {
            blocks: vec![nothing; len / BLOCK_BYTES + 1],
            everywhere: nothing,
            most: nothing,
        }
    }

    fn add(&mut self, bytes: &Range<usize>, logits: &[f32; Category::COUNT]) {
        take_larger(&mut self.most, logits);
        let blocks = blocks(bytes);
        if MOST_BLOCKS < blocks.len() {
            return take_larger(&mut self.everywhere, logits);
        }
        for block in &mut self.blocks[blocks] {
            take_larger(block, logits);
        }
    }

    /// The largest logits of windows near these bytes.
    pub(crate) fn near(&self, bytes: &Range<usize>) -> [f32; Category::COUNT] {
        let blocks = blocks(bytes);
        if MOST_BLOCKS < blocks.len() {
            return self.most;
        }
        let mut largest = self.everywhere;
        for block in &self.blocks[blocks] {
            take_larger(&mut largest, block);
        }
        largest
    }
}

fn blocks(bytes: &Range<usize>) -> Range<usize> {
    bytes.start / BLOCK_BYTES..bytes.end / BLOCK_BYTES + 1
}

fn take_larger(largest: &mut [f32; Category::COUNT], logits: &[f32; Category::COUNT]) {
    for (largest, logit) in largest.iter_mut().zip(logits) {
        *largest = larger(*largest, *logit);
    }
}

/// The larger number, and NaN when either is: a broken logit must not hide behind a sound one.
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if a.is_nan() || b <= a { a } else { b }
}
