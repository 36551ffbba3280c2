//! The model on disk: `manifest.json`, which vouches for `weights.bin`.
//!
//! The manifest carries the blake3 digest of the weights, so one flipped bit is refused; the weights
//! file carries the table and the score scale. Everything is little-endian:
//! magic, number of slots, steps, biases, the scale (curves and probabilities by category), then
//! the tags of all slots, then their weights, category by category.

use super::features::FEATURES_VERSION;
use super::table::{LANES, Slot, Table};
use crate::scale::{CURVE_NUMBERS, CURVES, CategoryScale, Curve, Logistic, Scale};
use portcullis_text::{Category, canonical};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// First bytes of a weights file.
const MAGIC: [u8; 8] = *b"PCLINEAR";
/// Name of the format in the manifest.
const FORMAT: &str = "portcullis-linear-1";
/// Numbers of a category's scale: its curves, then slope and offset of its probability (0 slope:
/// none).
const SCALE_NUMBERS: usize = CURVES * CURVE_NUMBERS + 2;
/// Bytes of a slot: its tag and one weight per category.
const SLOT_BYTES: usize = 2 + Category::COUNT;

/// Name of the manifest in a model folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Name of the weights in a model folder.
pub const WEIGHTS_FILE: &str = "weights.bin";

/// Why a model was refused at load.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file of the model cannot be read.
    #[error("cannot read the model file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The manifest is not JSON of the expected shape.
    #[error("the model's manifest cannot be parsed")]
    Manifest(#[source] serde_json::Error),
    /// The manifest is of another format or feature map than this build's.
    #[error("the model has {what} `{found}`, this build needs `{expected}`: train it again")]
    Version {
        /// What differs.
        what: &'static str,
        /// What the manifest says.
        found: String,
        /// What this build reads.
        expected: String,
    },
    /// The weights are not those the manifest vouches for.
    #[error(
        "the weights are damaged: their blake3 digest is {found}, the manifest says {expected}; \
         fetch the model again"
    )]
    Digest {
        /// Digest of the bytes at hand.
        found: String,
        /// Digest in the manifest.
        expected: String,
    },
    /// The weights do not have the shape of a weights file.
    #[error("the weights file is malformed: {reason}")]
    Shape {
        /// What does not fit.
        reason: String,
    },
    /// A number is NaN, infinite or out of range.
    #[error("the weights file holds a number that cannot be: {what} of `{category}`")]
    Number {
        /// Which number.
        what: &'static str,
        /// Of which category.
        category: Category,
    },
}

/// What `manifest.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) features: u32,
    pub(crate) canonical: String,
    pub(crate) categories: Vec<Category>,
    pub(crate) weights: WeightsEntry,
    pub(crate) training: Training,
}

/// The weights that the manifest vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WeightsEntry {
    pub(crate) file: String,
    pub(crate) bytes: usize,
    pub(crate) blake3: String,
}

/// Where the weights come from: enough to make them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Training {
    /// Digest over the names and bytes of all data files.
    pub(crate) data_blake3: String,
    pub(crate) rows: usize,
    pub(crate) dev_rows: usize,
    pub(crate) seed: u64,
}

impl Manifest {
    pub(crate) fn new(weights: &[u8], training: Training) -> Self {
        Self {
            format: FORMAT.to_owned(),
            features: FEATURES_VERSION,
            canonical: canonical::VERSION.to_owned(),
            categories: Category::ALL.to_vec(),
            weights: WeightsEntry {
                file: WEIGHTS_FILE.to_owned(),
                bytes: weights.len(),
                blake3: blake3::hash(weights).to_hex().to_string(),
            },
            training,
        }
    }

    /// Parses, and refuses what this build cannot read.
    pub(crate) fn parse(text: &str) -> Result<Self, LoadError> {
        let manifest: Self = serde_json::from_str(text).map_err(LoadError::Manifest)?;
        same("format", &manifest.format, FORMAT)?;
        same(
            "feature map",
            &manifest.features.to_string(),
            &FEATURES_VERSION.to_string(),
        )?;
        same("canonical form", &manifest.canonical, canonical::VERSION)?;
        if manifest.categories != Category::ALL {
            let names =
                |all: &[Category]| all.iter().map(|c| c.name()).collect::<Vec<_>>().join(" ");
            same(
                "categories",
                &names(&manifest.categories),
                &names(&Category::ALL),
            )?;
        }
        Ok(manifest)
    }

    /// Refuses weights that are not the ones this manifest was written for.
    pub(crate) fn vouch(&self, weights: &[u8]) -> Result<(), LoadError> {
        let found = blake3::hash(weights).to_hex().to_string();
        if found == self.weights.blake3 {
            return Ok(());
        }
        Err(LoadError::Digest {
            found,
            expected: self.weights.blake3.clone(),
        })
    }
}

fn same(what: &'static str, found: &str, expected: &str) -> Result<(), LoadError> {
    if found == expected {
        return Ok(());
    }
    Err(LoadError::Version {
        what,
        found: found.to_owned(),
        expected: expected.to_owned(),
    })
}

/// The bytes of a weights file.
pub(crate) fn encode(table: &Table, scale: &Scale) -> Vec<u8> {
    let n_slots = table.slots.len();
    let mut bytes = Vec::with_capacity(1024 * 16 + n_slots * SLOT_BYTES);
    bytes.extend(MAGIC);
    bytes.extend((n_slots as u32).to_le_bytes());
    push_numbers(&mut bytes, table.steps);
    push_numbers(&mut bytes, table.bias);
    for category in scale.categories() {
        for curve in &category.curves {
            push_numbers(&mut bytes, curve.numbers());
        }
        let fitted = category.probability.unwrap_or(Logistic {
            slope: 0.0,
            offset: 0.0,
        });
        push_numbers(&mut bytes, [fitted.slope, fitted.offset]);
    }
    bytes.extend(table.slots.iter().flat_map(|slot| slot.tag.to_le_bytes()));
    for lane in 0..Category::COUNT {
        bytes.extend(
            table
                .slots
                .iter()
                .map(|slot| slot.weights[lane].cast_unsigned()),
        );
    }
    bytes
}

fn push_numbers(bytes: &mut Vec<u8>, numbers: impl IntoIterator<Item = f32>) {
    bytes.extend(numbers.into_iter().flat_map(f32::to_le_bytes));
}

/// Reads a weights file whose digest was checked.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Table, Scale), LoadError> {
    let mut rest = Reader { bytes };
    if rest.take(MAGIC.len())? != MAGIC {
        return Err(LoadError::Shape {
            reason: "it does not begin as a weights file".to_owned(),
        });
    }
    let n_slots = rest.count()?;
    let steps = rest.by_category("quantisation step", |step| 0.0 <= step)?;
    let bias = rest.by_category("bias", |_| true)?;
    let scale = rest.scale()?;
    let slots = rest.slots(n_slots)?;
    Ok((Table { slots, steps, bias }, scale))
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n_bytes: usize) -> Result<&'a [u8], LoadError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(n_bytes) else {
            let reason = format!("it ends {} bytes too early", n_bytes - self.bytes.len());
            return Err(LoadError::Shape { reason });
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, LoadError> {
        let bytes = self.take(4)?;
        let count = bytes
            .iter()
            .rev()
            .fold(0_u32, |count, byte| count << 8 | u32::from(*byte));
        Ok(count as usize)
    }

    fn numbers(&mut self, n: usize) -> Result<Vec<f32>, LoadError> {
        let (quads, _) = self.take(n * 4)?.as_chunks::<4>();
        Ok(quads.iter().map(|quad| f32::from_le_bytes(*quad)).collect())
    }

    fn by_category(
        &mut self,
        what: &'static str,
        sound: impl Fn(f32) -> bool,
    ) -> Result<[f32; Category::COUNT], LoadError> {
        let mut numbers = [0.0; Category::COUNT];
        numbers.copy_from_slice(&self.numbers(Category::COUNT)?);
        for (category, number) in Category::ALL.into_iter().zip(numbers) {
            if !number.is_finite() || !sound(number) {
                return Err(LoadError::Number { what, category });
            }
        }
        Ok(numbers)
    }

    fn scale(&mut self) -> Result<Scale, LoadError> {
        let mut categories = Vec::with_capacity(Category::COUNT);
        for category in Category::ALL {
            let numbers = self.numbers(SCALE_NUMBERS)?;
            categories.push(category_scale(category, &numbers)?);
        }
        let categories = categories.try_into().map_err(|_| short("the scale"))?;
        Ok(Scale::new(categories))
    }

    fn slots(&mut self, n_slots: usize) -> Result<Vec<Slot>, LoadError> {
        if n_slots == 0 || n_slots.checked_mul(SLOT_BYTES) != Some(self.bytes.len()) {
            let reason = format!("{n_slots} slots do not fill {} bytes", self.bytes.len());
            return Err(LoadError::Shape { reason });
        }
        let mut slots = vec![Slot::default(); n_slots];
        let (tags, _) = self.take(n_slots * 2)?.as_chunks::<2>();
        for (slot, tag) in slots.iter_mut().zip(tags) {
            slot.tag = u16::from_le_bytes(*tag);
        }
        for lane in 0..Category::COUNT {
            let weights = self.take(n_slots)?;
            for (slot, weight) in slots.iter_mut().zip(weights) {
                // -128 would overflow the 16-bit sums of a block
                slot.weights[lane] = weight.cast_signed().max(-127);
            }
        }
        Ok(slots)
    }
}

fn category_scale(category: Category, numbers: &[f32]) -> Result<CategoryScale, LoadError> {
    let (curves, fitted) = numbers.split_at(CURVES * CURVE_NUMBERS);
    let curves: Option<Vec<Curve>> = curves
        .chunks(CURVE_NUMBERS)
        .map(Curve::from_numbers)
        .collect();
    let curves: Option<[Curve; CURVES]> = curves.and_then(|curves| curves.try_into().ok());
    let curves = curves.ok_or_else(|| short("a curve"))?;
    if let Some(what) = curves.iter().find_map(Curve::fault) {
        return Err(LoadError::Number { what, category });
    }
    let &[slope, offset] = fitted else {
        return Err(short("a probability"));
    };
    if !slope.is_finite() || !offset.is_finite() {
        return Err(LoadError::Number {
            what: "probability",
            category,
        });
    }
    let probability = (slope != 0.0).then_some(Logistic { slope, offset });
    Ok(CategoryScale {
        curves,
        probability,
    })
}

fn short(what: &str) -> LoadError {
    LoadError::Shape {
        reason: format!("{what} is incomplete"),
    }
}

const _: () = assert!(
    Category::COUNT <= LANES,
    "a slot holds a weight for every category"
);
