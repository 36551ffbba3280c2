//! A text as windows of tokens, in every view of it.

use crate::Failure;
use crate::linear::window::Views;
use portcullis_models::Tokenizer;
use portcullis_text::View;
use std::ops::Range;

/// A window of one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadWindow {
    pub(super) view: View,
    /// The bytes of the text it came from.
    pub(super) range: Range<usize>,
    pub(super) ids: Vec<u32>,
}

/// Every window of every view of a text; at least one.
///
/// Windows overlap by a quarter. A view that gives the model the tokens of the text as written is
/// left out. `is_unwanted` is asked between views.
pub(super) fn read(
    tokenizer: &Tokenizer,
    views: &Views,
    max_tokens: usize,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<Vec<ReadWindow>, Failure> {
    let mut all: Vec<ReadWindow> = Vec::new();
    let mut n_raw = 0;
    for view in views.texts() {
        if is_unwanted() {
            return Err(Failure::TimedOut);
        }
        let windows = tokenizer
            .windows(view.text(), max_tokens, max_tokens / 4)
            .map_err(|_| Failure::Died)?;
        let as_raw = windows.len() == n_raw
            && windows
                .iter()
                .zip(&all)
                .all(|(window, raw)| window.ids == raw.ids);
        if as_raw {
            continue;
        }
        all.extend(windows.into_iter().map(|window| ReadWindow {
            view: view.view,
            range: view.origin(window.range),
            ids: window.ids,
        }));
        if n_raw == 0 {
            n_raw = all.len();
        }
    }
    Ok(all)
}
