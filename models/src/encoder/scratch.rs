//! A worker's memory.

use portcullis_kernels::{Aligned, Format, MAX_TEAM, Rows, attention};

/// A worker's own memory, grown to the largest batch seen and then kept.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Hidden states, `[tokens, hidden]`.
    pub(super) x: Aligned<f32>,
    /// What attention gives, `[tokens, hidden]`.
    pub(super) context: Aligned<f32>,
    /// Queries, keys and values of this layer and of the next, in turns.
    pub(super) qkv: [QkvRoom; 2],
    /// Hidden states of each sequence's first token, `[n_seqs, hidden]`.
    pub(super) first: Aligned<f32>,
    pub(super) logits: Aligned<f32>,
    pub(super) members: Vec<Member>,
    /// The head's inputs.
    pub(super) head: Option<Rows>,
    /// What is between the head's two products.
    pub(super) pooled: Aligned<f32>,
}

/// `[tokens, 3, hidden]` in one of two kinds.
#[derive(Debug, Default)]
pub(super) struct QkvRoom {
    pub(super) f32: Aligned<f32>,
    pub(super) bf16: Aligned<u16>,
}

/// What one thread needs for itself.
#[derive(Debug)]
pub(super) struct Member {
    /// For blocks of tokens.
    pub(super) each: Lane,
    /// For blocks of first tokens in the last layer.
    pub(super) first: Lane,
    pub(super) attention: attention::Scratch,
}

/// What a block goes through.
#[derive(Debug)]
pub(super) struct Lane {
    /// Inputs, hidden wide.
    pub(super) rows: Rows,
    /// Inputs, intermediate wide.
    pub(super) wide: Rows,
    /// The same before it is taken to 8 bits.
    pub(super) between: Aligned<f32>,
    format: Format,
}

impl Member {
    fn new([each, first]: [Format; 2]) -> Self {
        Self {
            each: Lane::new(each),
            first: Lane::new(first),
            attention: attention::Scratch::default(),
        }
    }

    fn formats(&self) -> [Format; 2] {
        [self.each.format, self.first.format]
    }
}

impl Lane {
    fn new(format: Format) -> Self {
        Self {
            rows: Rows::new(format),
            wide: Rows::new(format),
            between: Aligned::default(),
            format,
        }
    }
}

/// What a forward pass needs room for.
pub(super) struct Room {
    pub(super) n_tokens: usize,
    pub(super) n_seqs: usize,
    pub(super) hidden: usize,
    pub(super) n_logits: usize,
    pub(super) n_members: usize,
    /// Of the layers, and of the last layer for first tokens.
    pub(super) formats: [Format; 2],
    pub(super) attends_in_bf16: bool,
}

impl Scratch {
    /// Grows where it is too small; allocates nothing where it is not.
    pub(super) fn make(&mut self, room: &Room) {
        let n_hidden = room.n_tokens * room.hidden;
        self.x.grow(n_hidden);
        self.context.grow(n_hidden);
        for qkv in &mut self.qkv {
            if room.attends_in_bf16 {
                qkv.bf16.grow(3 * n_hidden);
            } else {
                qkv.f32.grow(3 * n_hidden);
            }
        }
        self.first.grow(room.n_seqs * room.hidden);
        self.pooled.grow(room.n_seqs * room.hidden);
        self.logits.grow(room.n_logits);
        self.head.get_or_insert_with(|| Rows::new(Format::F32));
        if self
            .members
            .first()
            .is_some_and(|m| m.formats() != room.formats)
        {
            self.members.clear();
        }
        let n_members = room.n_members.min(MAX_TEAM);
        while self.members.len() < n_members {
            self.members.push(Member::new(room.formats));
        }
    }
}
