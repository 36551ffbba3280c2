//! The map from bytes of a view back to bytes of the original.

use std::ops::Range;

/// A stretch of the view and the original bytes it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// First byte in the view; the piece ends where the next begins.
    view: u32,
    /// First original byte.
    start: u32,
    /// Byte after the last original byte.
    end: u32,
    /// Character for character with equal byte lengths, so that offsets inside differ by a
    /// constant. Otherwise the whole stretch came from the whole original range.
    linear: bool,
}

/// Maps bytes of a view to bytes of its original; monotone, and free of allocation while the two
/// run in step. Offsets are 32 bits: past 4 GiB they stay at the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OffsetMap {
    done: Vec<Piece>,
    last: Piece,
    view_len: u32,
}

impl Default for OffsetMap {
    fn default() -> Self {
        let last = Piece {
            view: 0,
            start: 0,
            end: 0,
            linear: true,
        };
        Self {
            done: Vec::new(),
            last,
            view_len: 0,
        }
    }
}

fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

impl OffsetMap {
    /// The next `len` bytes of the view are the original's from `start`, character for character.
    pub(super) fn copy(&mut self, len: usize, start: usize) {
        let (start, end) = (narrow(start), narrow(start + len));
        if !(self.last.linear && self.last.end == start) {
            self.open(Piece {
                view: self.view_len,
                start,
                end,
                linear: true,
            });
        }
        self.last.end = end;
        self.view_len = self.view_len.saturating_add(narrow(len));
    }

    /// The next `len` bytes of the view came from all of `original` together.
    pub(super) fn replace(&mut self, len: usize, original: Range<usize>) {
        if len == 0 {
            return;
        }
        let (start, end) = (narrow(original.start), narrow(original.end));
        self.open(Piece {
            view: self.view_len,
            start,
            end,
            linear: false,
        });
        self.view_len = self.view_len.saturating_add(narrow(len));
    }

    fn open(&mut self, piece: Piece) {
        if self.last.view < piece.view {
            self.done.push(self.last);
        }
        self.last = piece;
    }

    /// Whether every byte of the view stands where it stood in the original.
    pub(super) fn is_identity(&self) -> bool {
        self.done.is_empty() && self.last.linear && self.last.start == 0
    }

    /// The original bytes of a range of the view, which is cut to the view's length. An empty
    /// range maps to an empty one.
    pub(super) fn original_range(&self, range: Range<usize>) -> Range<usize> {
        let end = narrow(range.end).min(self.view_len);
        let start = narrow(range.start).min(end);
        let from = self.start_of(start);
        let to = if start == end { from } else { self.end_of(end) };
        from as usize..to as usize
    }

    /// First original byte of the character at `view`.
    fn start_of(&self, view: u32) -> u32 {
        if view == self.view_len && view > 0 {
            return self.last.end;
        }
        let piece = self.piece_at(view);
        if piece.linear {
            piece.start + (view - piece.view)
        } else {
            piece.start
        }
    }

    /// Byte after the original of the character that ends at `view`, which is above 0.
    fn end_of(&self, view: u32) -> u32 {
        let piece = self.piece_at(view - 1);
        if piece.linear {
            piece.start + (view - piece.view)
        } else {
            piece.end
        }
    }

    /// Stretches of the view that do not stand as they stood in the original, in order; an empty one
    /// where something was left out.
    pub(super) fn changes(&self) -> impl Iterator<Item = Range<usize>> {
        let pieces = self.done.iter().chain([&self.last]);
        let ends = self.done.iter().chain([&self.last]).skip(1);
        let ends = ends.map(|piece| piece.view).chain([self.view_len]);
        let mut left_off = 0;
        pieces.zip(ends).filter_map(move |(piece, end)| {
            let is_next = std::mem::replace(&mut left_off, piece.end) == piece.start;
            let end = if piece.linear { piece.view } else { end };
            (!piece.linear || !is_next).then_some(piece.view as usize..end as usize)
        })
    }

    fn piece_at(&self, view: u32) -> Piece {
        if self.last.view <= view {
            return self.last;
        }
        let after = self.done.partition_point(|piece| piece.view <= view);
        self.done
            .get(after.wrapping_sub(1))
            .copied()
            .unwrap_or(self.last)
    }
}
