//! Where the files of a model are.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a model: in a directory, or in the binary.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Files<'a> {
    In(&'a Path),
    /// Names and contents.
    Embedded(&'static [(&'static str, &'static [u8])]),
}

impl Files<'_> {
    /// Where a file is, for messages and to tell files apart.
    pub(super) fn path(self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    pub(super) fn root(self) -> PathBuf {
        match self {
            Self::In(dir) => dir.to_path_buf(),
            Self::Embedded(_) => PathBuf::from("(embedded)"),
        }
    }

    pub(super) fn has(self, name: &str) -> bool {
        match self {
            Self::In(dir) => dir.join(name).exists(),
            Self::Embedded(files) => files.iter().any(|(known, _)| *known == name),
        }
    }

    /// Names of all files, sorted.
    pub(super) fn names(self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        match self {
            Self::In(dir) => {
                for entry in fs::read_dir(dir)? {
                    names.extend(entry?.file_name().into_string());
                }
            }
            Self::Embedded(files) => names.extend(files.iter().map(|(name, _)| (*name).to_owned())),
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn read(self, name: &str) -> io::Result<Cow<'static, [u8]>> {
        match self {
            Self::In(dir) => fs::read(dir.join(name)).map(Cow::Owned),
            Self::Embedded(files) => files
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, bytes)| Cow::Borrowed(*bytes))
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }
}
