//! The forward pass.
//!
//! Tokens are cut into one part per member of the team. A part's thread takes its tokens through
//! a whole layer and on to the next one's queries, keys and values, block by block, so that a
//! block stays in the core's own cache; only attention reads other parts' tokens, and the wait
//! for them is the only one per layer. Queries, keys and values lie in two rooms by turns, so
//! that a part may write the next layer's while another still reads this one's.

use super::pack::{PackedHead, PackedLayer};
use super::scratch::{Lane, Member, QkvRoom, Room, Scratch};
use super::{EncodeError, Encoder, Geometry};
use crate::Batch;
use portcullis_kernels::attention::{Heads, Qkv, attend};
use portcullis_kernels::{Activation, Format, Isa, MAX_TEAM, Matrix, Out, Team};
use std::array::from_fn;
use std::mem::take;
use std::ops::Range;

/// The least tokens worth a thread.
const LEAST_TOKENS: usize = 4;

/// Bytes that a block's intermediate values may take of the core's own cache.
const BLOCK_BYTES: usize = 384 * 1024;

/// One member's share.
struct Part<'a> {
    /// Its tokens of the batch.
    tokens: Range<usize>,
    /// Sequences that begin with one of them.
    begins: Range<usize>,
    /// Its rows.
    x: &'a mut [f32],
    context: &'a mut [f32],
    next_qkv: QkvMut<'a>,
    /// Rows of the sequences that begin here.
    first: &'a mut [f32],
    member: &'a mut Member,
}

enum QkvMut<'a> {
    F32(&'a mut [f32]),
    Bf16(&'a mut [u16]),
}

impl Default for QkvMut<'_> {
    fn default() -> Self {
        Self::F32(&mut [])
    }
}

impl<'a> QkvMut<'a> {
    fn split(self, at: usize) -> (Self, Self) {
        match self {
            Self::F32(of) => {
                let (a, b) = of.split_at_mut(at);
                (Self::F32(a), Self::F32(b))
            }
            Self::Bf16(of) => {
                let (a, b) = of.split_at_mut(at);
                (Self::Bf16(a), Self::Bf16(b))
            }
        }
    }

    fn out(&mut self, range: Range<usize>) -> Out<'_> {
        match self {
            Self::F32(of) => Out::Store(&mut of[range]),
            Self::Bf16(of) => Out::Bf16(&mut of[range]),
        }
    }
}

/// Threads that may share the work for as long as they are free.
#[derive(Clone, Copy)]
pub(super) struct Help<'a> {
    pub(super) team: &'a Team,
    pub(super) is_free: &'a dyn Fn() -> bool,
}

/// What has not been given to a part yet.
struct Rest<'a> {
    x: &'a mut [f32],
    context: &'a mut [f32],
    next_qkv: QkvMut<'a>,
    first: &'a mut [f32],
}

impl<'a> Rest<'a> {
    fn take(
        &mut self,
        (tokens, begins): (Range<usize>, Range<usize>),
        hidden: usize,
        member: &'a mut Member,
    ) -> Part<'a> {
        let (next_qkv, rest) = take(&mut self.next_qkv).split(3 * tokens.len() * hidden);
        self.next_qkv = rest;
        Part {
            x: front(&mut self.x, tokens.len() * hidden),
            context: front(&mut self.context, tokens.len() * hidden),
            first: front(&mut self.first, begins.len() * hidden),
            next_qkv,
            tokens,
            begins,
            member,
        }
    }
}

fn front<'a>(of: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    let (front, rest) = take(of).split_at_mut(len);
    *of = rest;
    front
}

impl Encoder {
    pub(super) fn run<'s>(
        &self,
        help: Option<Help<'_>>,
        scratch: &'s mut Scratch,
        batch: &Batch,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<&'s [f32], EncodeError> {
        self.check(batch)?;
        let n_tokens = batch.input_ids().len();
        if n_tokens == 0 {
            return Ok(&[]);
        }
        let n_parts = help
            .map_or(1, |help| help.team.size())
            .min(n_tokens.div_ceil(LEAST_TOKENS));
        let room = self.room(batch, n_parts);
        scratch.make(&room);
        let mut help = help.filter(|_| 1 < n_parts);
        let mut place = help.map(|help| help.team.enter());
        for step in 0..=self.layers.len() {
            if is_cancelled() {
                return Err(EncodeError::Cancelled);
            }
            help = help.filter(|help| (help.is_free)());
            if help.is_none() {
                place = None;
            }
            let n_parts = help.map_or(1, |_| n_parts);
            self.step(help.map(|help| help.team), scratch, batch, (step, n_parts))?;
        }
        drop(place);
        self.write_logits(scratch, &room);
        let logits = &scratch.logits[..room.n_logits];
        if !logits.iter().all(|l| l.is_finite()) {
            return Err(EncodeError::NonFinite);
        }
        Ok(logits)
    }

    fn check(&self, batch: &Batch) -> Result<(), EncodeError> {
        let max_tokens = self
            .geometry
            .max_positions
            .saturating_sub(self.geometry.position_offset);
        for ends in batch.cu_seqlens().windows(2) {
            let n_tokens = (ends[1] - ends[0]) as usize;
            if max_tokens < n_tokens {
                return Err(EncodeError::TooLong {
                    n_tokens,
                    max_tokens,
                });
            }
        }
        let vocab_size = self.geometry.vocab_size;
        match batch
            .input_ids()
            .iter()
            .find(|&&id| vocab_size <= id as usize)
        {
            Some(&id) => Err(EncodeError::UnknownToken { id, vocab_size }),
            None => Ok(()),
        }
    }

    fn room(&self, batch: &Batch, n_members: usize) -> Room {
        let n_tokens = batch.input_ids().len();
        let n_rows = match self.head {
            PackedHead::First { .. } => batch.n_seqs(),
            PackedHead::Token { .. } => n_tokens,
        };
        Room {
            n_tokens,
            n_seqs: batch.n_seqs(),
            hidden: self.geometry.hidden,
            n_logits: n_rows * self.n_labels(),
            n_members,
            formats: self.formats(),
            attends_in_bf16: self.attends_in_bf16,
        }
    }

    fn formats(&self) -> [Format; 2] {
        let each = self.layers.first().map(|layer| layer.qkv.format());
        let last = self.layers.last().map(|layer| layer.output.format());
        [each, last].map(|format| format.unwrap_or(Format::F32))
    }

    /// Step 0 embeds; step `n` finishes layer `n - 1`; each but the last begins layer `n`.
    fn step(
        &self,
        team: Option<&Team>,
        scratch: &mut Scratch,
        batch: &Batch,
        (step, n_parts): (usize, usize),
    ) -> Result<(), EncodeError> {
        let [even, odd] = &mut scratch.qkv;
        let (this, next) = if step % 2 == 0 {
            (odd, even)
        } else {
            (even, odd)
        };
        let qkv = self.qkv_of(this);
        let work = |part: &mut Option<Part<'_>>| {
            if let Some(part) = part {
                self.step_part(step, batch, qkv, part);
            }
        };
        let mut rest = Rest {
            x: &mut scratch.x,
            context: &mut scratch.context,
            next_qkv: if self.attends_in_bf16 {
                QkvMut::Bf16(&mut next.bf16)
            } else {
                QkvMut::F32(&mut next.f32)
            },
            first: &mut scratch.first,
        };
        let mut parts: [Option<Part<'_>>; MAX_TEAM] = from_fn(|_| None);
        let parts = &mut parts[..n_parts];
        for (place, (part, member)) in parts.iter_mut().zip(&mut scratch.members).enumerate() {
            let shares = share(batch, place, n_parts);
            *part = Some(rest.take(shares, self.geometry.hidden, member));
        }
        match team {
            Some(team) if 1 < n_parts => team.run(parts, work).map_err(|_| EncodeError::Panicked),
            _ => {
                parts.iter_mut().for_each(work);
                Ok(())
            }
        }
    }

    fn qkv_of<'a>(&self, room: &'a QkvRoom) -> Qkv<'a> {
        if self.attends_in_bf16 {
            Qkv::Bf16(&room.bf16)
        } else {
            Qkv::F32(&room.f32)
        }
    }

    fn step_part(&self, step: usize, batch: &Batch, qkv: Qkv<'_>, part: &mut Part<'_>) {
        let Some(last) = step.checked_sub(1) else {
            return self.begin(batch, part);
        };
        let ends_here = step == self.layers.len();
        if ends_here && matches!(self.head, PackedHead::First { .. }) {
            // Nothing after the last layer reads any but each sequence's first token.
            return self.finish_first(&self.layers[last], batch, qkv, part);
        }
        self.attend_all(batch, qkv, part);
        let next = self.layers.get(step);
        for block in blocks(part.tokens.len(), self.block()) {
            let at = block.start * self.geometry.hidden..block.end * self.geometry.hidden;
            let (x, context) = (&mut part.x[at.clone()], &part.context[at.clone()]);
            self.finish_block(
                &self.layers[last],
                x,
                context,
                &mut part.member.each,
                next.is_some(),
            );
            if let Some(next) = next {
                let out = part.next_qkv.out(3 * at.start..3 * at.end);
                next.qkv
                    .apply(&part.member.each.rows, Activation::Identity, out);
            }
        }
    }

    /// Embeddings, and the first layer's queries, keys and values.
    fn begin(&self, batch: &Batch, part: &mut Part<'_>) {
        let hidden = self.geometry.hidden;
        for tokens in sequences(batch, &part.tokens) {
            let own = overlap(&tokens, &part.tokens);
            for token in own {
                let position = self.geometry.position_offset + token - tokens.start;
                let at = (token - part.tokens.start) * hidden;
                let id = batch.input_ids()[token];
                self.embedding
                    .write(id, position, &mut part.x[at..at + hidden]);
            }
        }
        for block in blocks(part.tokens.len(), self.block()) {
            let at = block.start * hidden..block.end * hidden;
            let rows = &mut part.member.each.rows;
            self.embedding_norm
                .apply(self.isa, &mut part.x[at.clone()], Some(rows));
            if let Some(layer) = self.layers.first() {
                let out = part.next_qkv.out(3 * at.start..3 * at.end);
                layer.qkv.apply(rows, Activation::Identity, out);
            }
        }
        if self.layers.is_empty() {
            self.copy_first(batch, part);
        }
    }

    fn heads(&self) -> Heads {
        let Geometry { hidden, heads, .. } = self.geometry;
        Heads {
            count: heads,
            dim: hidden / heads,
        }
    }

    fn attend_all(&self, batch: &Batch, qkv: Qkv<'_>, part: &mut Part<'_>) {
        let hidden = self.geometry.hidden;
        for tokens in sequences(batch, &part.tokens) {
            let own = overlap(&tokens, &part.tokens);
            let at =
                (own.start - part.tokens.start) * hidden..(own.end - part.tokens.start) * hidden;
            let to = (&mut part.member.attention, &mut part.context[at]);
            attend(self.isa, self.heads(), qkv, (tokens, own), to);
        }
    }

    /// From what attention gave to the layer's end: the output projection, the norm, the
    /// feed-forward pair, the norm. `x` is `[block, hidden]`; `lane.rows` holds it at the end
    /// where another product follows.
    fn finish_block(
        &self,
        layer: &PackedLayer,
        x: &mut [f32],
        context: &[f32],
        lane: &mut Lane,
        more_follows: bool,
    ) {
        let (isa, hidden) = (self.isa, self.geometry.hidden);
        lane.rows.fill(isa, context, hidden);
        layer
            .output
            .apply(&lane.rows, Activation::Identity, Out::Add(x));
        layer.attention_norm.apply(isa, x, Some(&mut lane.rows));
        up(isa, &layer.up, self.activation, lane); // [block, intermediate]
        layer
            .down
            .apply(&lane.wide, Activation::Identity, Out::Add(x));
        layer
            .output_norm
            .apply(isa, x, more_follows.then_some(&mut lane.rows));
    }

    /// The last layer for the first token of each sequence that begins here.
    fn finish_first(&self, layer: &PackedLayer, batch: &Batch, qkv: Qkv<'_>, part: &mut Part<'_>) {
        let hidden = self.geometry.hidden;
        self.copy_first(batch, part);
        for (place, seq) in part.begins.clone().enumerate() {
            let tokens = sequence(batch, seq);
            let query = tokens.start..tokens.start + 1;
            let context = &mut part.context[place * hidden..(place + 1) * hidden];
            let to = (&mut part.member.attention, context);
            attend(self.isa, self.heads(), qkv, (tokens, query), to);
        }
        for block in blocks(part.begins.len(), self.block()) {
            let at = block.start * hidden..block.end * hidden;
            let (x, context) = (&mut part.first[at.clone()], &part.context[at]);
            self.finish_block(layer, x, context, &mut part.member.first, false);
        }
    }

    fn copy_first(&self, batch: &Batch, part: &mut Part<'_>) {
        let hidden = self.geometry.hidden;
        for (to, seq) in part.first.chunks_mut(hidden).zip(part.begins.clone()) {
            let at = (sequence(batch, seq).start - part.tokens.start) * hidden;
            to.copy_from_slice(&part.x[at..at + hidden]);
        }
    }

    /// Tokens of a block.
    fn block(&self) -> usize {
        let fitting = BLOCK_BYTES / (4 * self.geometry.intermediate.max(1));
        (fitting / 12 * 12).clamp(12, 96)
    }

    fn write_logits(&self, scratch: &mut Scratch, room: &Room) {
        let logits = &mut scratch.logits[..room.n_logits];
        let Some(rows) = &mut scratch.head else {
            return;
        };
        match &self.head {
            PackedHead::First {
                dense,
                activation,
                classifier,
            } => {
                let n_pooled = room.n_seqs * room.hidden;
                let pooled = &mut scratch.pooled[..n_pooled];
                rows.fill(self.isa, &scratch.first[..n_pooled], room.hidden);
                dense.apply(rows, *activation, Out::Store(pooled)); // [n_seqs, hidden]
                rows.fill(self.isa, pooled, room.hidden);
                classifier.apply(rows, Activation::Identity, Out::Store(logits)); // [n_seqs, n_labels]
            }
            PackedHead::Token { classifier } => {
                rows.fill(
                    self.isa,
                    &scratch.x[..room.n_tokens * room.hidden],
                    room.hidden,
                );
                classifier.apply(rows, Activation::Identity, Out::Store(logits)); // [tokens, n_labels]
            }
        }
    }
}

/// The first feed-forward product, on to what the second one reads: at once where its form is a
/// float, else by way of `between`.
fn up(isa: Isa, up: &Matrix, activation: Activation, lane: &mut Lane) {
    let Lane {
        rows,
        wide,
        between,
        ..
    } = lane;
    let (n_rows, width) = (rows.len(), up.n_out());
    if let Some(out) = wide.bf16_mut(n_rows, width) {
        return up.apply(rows, activation, Out::Bf16(out));
    }
    if let Some(out) = wide.f32_mut(n_rows, width) {
        return up.apply(rows, activation, Out::Store(out));
    }
    between.grow(n_rows * width);
    let out = &mut between[..n_rows * width];
    up.apply(rows, activation, Out::Store(out));
    wide.fill(isa, out, width);
}

/// One part's tokens, and the sequences that begin with one of them.
fn share(batch: &Batch, place: usize, n_parts: usize) -> (Range<usize>, Range<usize>) {
    let n_tokens = batch.input_ids().len();
    let bound = |place| n_tokens * place / n_parts;
    let starts = &batch.cu_seqlens()[..batch.n_seqs()];
    let begun = |token: usize| starts.partition_point(|&start| (start as usize) < token);
    let tokens = bound(place)..bound(place + 1);
    let begins = begun(tokens.start)..begun(tokens.end);
    (tokens, begins)
}

/// A sequence's tokens.
fn sequence(batch: &Batch, seq: usize) -> Range<usize> {
    batch.cu_seqlens()[seq] as usize..batch.cu_seqlens()[seq + 1] as usize
}

/// Sequences with a token in `tokens`.
fn sequences(batch: &Batch, tokens: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let ends = &batch.cu_seqlens()[1..];
    let first = ends.partition_point(|&end| end as usize <= tokens.start);
    let end = tokens.end;
    (first..batch.n_seqs())
        .map(move |seq| sequence(batch, seq))
        .take_while(move |tokens| tokens.start < end)
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// `0..len` in as few blocks of at most `block` as can be, of about one size.
fn blocks(len: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    let n_blocks = len.div_ceil(block);
    (0..n_blocks).map(move |place| len * place / n_blocks..len * (place + 1) / n_blocks)
}
