//! Tensors by name, out of one or several safetensors files, as f32.
//!
//! A matrix `X` may be kept in 8 bits: whole numbers, and beside them `X.scale` with one factor for
//! each row.

use super::Read;
use crate::LoadError;
use half::{bf16, f16};
use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors};
use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;

/// All tensors of a model.
pub(crate) struct Tensors {
    origin: PathBuf,
    files: Vec<Read>,
    entries: HashMap<String, Entry>,
    n_taken: Cell<usize>,
}

struct Entry {
    file_idx: usize,
    /// Bytes of the file before those that the offsets count from.
    start: usize,
    told: TensorInfo,
}

impl Tensors {
    /// Reads the headers and checks that they describe the files to the last byte.
    pub(super) fn of(origin: PathBuf, files: Vec<Read>) -> Result<Self, LoadError> {
        let mut entries = HashMap::new();
        for (file_idx, file) in files.iter().enumerate() {
            let (header_len, header) =
                SafeTensors::read_metadata(&file.bytes).map_err(|source| {
                    LoadError::Safetensors {
                        path: file.path.clone(),
                        source,
                    }
                })?;
            let start = size_of::<u64>() + header_len;
            let entry = |told: &TensorInfo| Entry {
                file_idx,
                start,
                told: told.clone(),
            };
            entries.extend(
                header
                    .tensors()
                    .into_iter()
                    .map(|(name, told)| (name, entry(told))),
            );
        }
        Ok(Self {
            origin,
            files,
            entries,
            n_taken: Cell::new(0),
        })
    }

    /// Numbers handed out so far.
    pub(crate) fn n_taken(&self) -> usize {
        self.n_taken.get()
    }

    /// The tensors as an architecture names them, its body's below `prefix`.
    pub(crate) fn scope(&self, prefix: &'static str) -> Scope<'_> {
        Scope {
            tensors: self,
            prefix,
        }
    }

    /// The first of `names` that there is; the error names the first of all.
    fn take<const N: usize>(
        &self,
        names: [String; N],
        shape: &[usize],
    ) -> Result<Vec<f32>, LoadError> {
        let found = names.iter().find_map(|name| {
            let entry = self
                .entries
                .get(name)
                .or_else(|| self.entries.get(&old(name)?))?;
            Some((name, entry))
        });
        let Some((name, entry)) = found else {
            return Err(LoadError::MissingTensor {
                name: names.into_iter().next().unwrap_or_default(),
                expected: shape.to_vec(),
                path: self.origin.clone(),
            });
        };
        if entry.told.shape != shape {
            return Err(LoadError::TensorShape {
                name: name.clone(),
                path: self.files[entry.file_idx].path.clone(),
                expected: shape.to_vec(),
                found: entry.told.shape.clone(),
            });
        }
        self.values(name, entry)
    }

    fn values(&self, name: &str, entry: &Entry) -> Result<Vec<f32>, LoadError> {
        let file = &self.files[entry.file_idx];
        let (start, end) = entry.told.data_offsets;
        let bytes = &file.bytes[entry.start + start..entry.start + end];
        let values = match (entry.told.dtype, &entry.told.shape[..]) {
            (Dtype::I8, &[n_rows, _]) => self.scaled(name, bytes, n_rows)?,
            (dtype, _) => floats(bytes, dtype).ok_or_else(|| LoadError::TensorType {
                name: name.into(),
                path: file.path.clone(),
                dtype: format!("{dtype:?}"),
            })?,
        };
        self.n_taken.set(self.n_taken.get() + values.len());
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(LoadError::NonFinite {
                name: name.into(),
                path: file.path.clone(),
                index,
                value: values[index],
            }),
        }
    }
}

impl Tensors {
    /// A matrix kept in 8 bits.
    fn scaled(&self, name: &str, bytes: &[u8], n_rows: usize) -> Result<Vec<f32>, LoadError> {
        let scales = self.take([format!("{name}.scale")], &[n_rows])?;
        let width = bytes.len() / n_rows.max(1);
        let rows = bytes.chunks_exact(width.max(1)).zip(&scales);
        let values = rows.flat_map(|(row, scale)| {
            row.iter()
                .map(move |byte| f32::from(byte.cast_signed()) * scale)
        });
        Ok(values.collect())
    }
}

/// Tensors as one architecture names them.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    tensors: &'a Tensors,
    prefix: &'static str,
}

impl Scope<'_> {
    /// One tensor of the body, row-major; its name may stand without the prefix.
    ///
    /// # Errors
    /// It is missing, of another shape, not of floats, or not finite.
    pub(crate) fn body(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let names = [format!("{}.{name}", self.prefix), name.into()];
        self.tensors.take(names, shape)
    }

    /// One tensor of the head, which stands beside the body.
    ///
    /// # Errors
    /// As [`Self::body`].
    pub(crate) fn head(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        self.tensors.take([name.into()], shape)
    }
}

fn floats(bytes: &[u8], dtype: Dtype) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F32 => elements(bytes, f32::from_le_bytes),
        Dtype::F16 => elements(bytes, |element| f16::from_le_bytes(element).to_f32()),
        Dtype::BF16 => elements(bytes, |element| bf16::from_le_bytes(element).to_f32()),
        _ => return None,
    })
}

fn elements<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> f32) -> Vec<f32> {
    let (elements, _) = bytes.as_chunks();
    elements.iter().map(|element| read(*element)).collect()
}

/// What checkpoints converted from TensorFlow call the two tensors of a layer norm.
fn old(name: &str) -> Option<String> {
    let stem = |end| name.strip_suffix(end);
    if let Some(stem) = stem("LayerNorm.weight") {
        return Some(format!("{stem}LayerNorm.gamma"));
    }
    stem("LayerNorm.bias").map(|stem| format!("{stem}LayerNorm.beta"))
}
