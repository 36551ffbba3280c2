//! What stands behind an encoder's boundary: texts to windows, windows to outputs, outputs to scores.

use super::context::{self, Joining};
use super::known::KnownWindows;
use super::labels::evidence;
use super::read::{ReadWindow, read};
use super::scale::{Harmless, ModelScale};
use crate::batching::{Engine, Logits, Pass, Sequence, Ticket};
use crate::dataset;
use crate::linear::LinearModel;
use crate::linear::model::Said;
use crate::linear::window::Views;
use crate::{Class, Deadline, Failure, Job, Salt, Segment, Shed, Unit, Verdict};
use portcullis_models::{Kind, Model};
use portcullis_text::{Category, Detector, Scores, Surface, Vector, Vectors, View, Window};
use std::sync::Arc;
use std::time::Instant;

/// Tokens of a window of a stream (DESIGN 7): stride 8 and overlap 24.
const STREAM_WINDOW_TOKENS: usize = 32;

/// Windows of a text from which on more of them ask for no more evidence: else padding would hide
/// anything.
const MOST_WINDOWS: usize = 4;

/// A model on its engine, and what its outputs mean.
pub(super) struct Core {
    pub(super) model: Arc<Model>,
    pub(super) engine: Engine,
    pub(super) known: Arc<KnownWindows>,
    /// By label.
    pub(super) categories: Vec<Option<Category>>,
    /// By label, for those that say by which way a text tries to get round a guard.
    pub(super) vectors: Vec<Option<Vector>>,
    pub(super) scale: Option<ModelScale>,
    /// How an answer is judged in the context of its prompt, where the model can.
    pub(super) joining: Option<Joining>,
    /// What the tier below adds, where the model was fitted with it.
    pub(super) lower: Option<Lower>,
    /// How much more evidence a text needs for each natural logarithm of its windows: the strongest
    /// of many is high by chance.
    pub(super) long_text: f32,
}

/// The linear model below, and how much of its logits counts.
pub(super) struct Lower {
    pub(super) model: Arc<LinearModel>,
    /// By label.
    pub(super) shares: Vec<Share>,
    /// The label by which the model says that a text is not in English.
    pub(super) non_english: Option<usize>,
}

impl Lower {
    /// Of the model and of how much of it counts: a scale was fitted to both.
    pub(super) fn digest(&self) -> String {
        let mut shares = blake3::Hasher::new();
        for share in &self.shares {
            shares.update(&share.english.to_le_bytes());
            shares.update(&share.other.to_le_bytes());
        }
        format!(
            "{}/{}",
            self.model.digest(),
            &shares.finalize().to_hex()[..8]
        )
    }
}

/// How much of a category's logit counts, by the language of the text.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) english: f32,
    pub(super) other: f32,
}

impl Share {
    /// For a text that is in another language with this probability.
    fn at(self, non_english: f32) -> f32 {
        self.english + non_english * (self.other - self.english)
    }
}

/// What was asked of the engine for a job.
pub(super) struct Asked {
    /// The prompt that answers among the segments are judged beside; the first row of the ticket
    /// where it is not known.
    context: Option<Row>,
    windows: Vec<AskedWindow>,
    /// By segment, what the tier below says of it.
    lower: Vec<Said>,
    /// By segment, what its length takes off the evidence.
    length: Vec<f32>,
    submitted: Option<Submitted>,
}

/// Windows on their way through the engine. What is done when nobody waits any more is remembered,
/// so that a text that was too long for its deadline is further on when it comes again.
struct Submitted {
    ticket: Ticket,
    /// By row of the ticket, where it is to be remembered.
    keys: Vec<Option<[u8; 32]>>,
    known: Arc<KnownWindows>,
}

impl Submitted {
    async fn logits(&mut self) -> Result<Logits, Failure> {
        let logits = (&mut self.ticket).await?;
        for (key, row) in self.keys.iter().zip(logits.rows()) {
            if let Some(key) = key {
                self.known.insert(*key, row);
            }
        }
        Ok(logits)
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        for (idx, row) in self.ticket.rows_so_far() {
            if let Some(Some(key)) = self.keys.get(idx) {
                self.known.insert(*key, &row);
            }
        }
    }
}

struct AskedWindow {
    segment_idx: usize,
    window: ReadWindow,
    row: Row,
}

/// Where the outputs for a window come from: an earlier job, or the next row of the ticket.
type Row = Option<Arc<[f32]>>;

/// What has to be submitted.
#[derive(Default)]
struct Missing {
    sequences: Vec<Sequence>,
    /// By sequence, where its outputs will be remembered.
    keys: Vec<Option<[u8; 32]>>,
}

impl Core {
    /// Cuts texts into windows and submits them all; how many windows each text has.
    pub(super) fn order(
        &self,
        texts: &[String],
        only_first: bool,
        pass: Pass,
    ) -> Result<(Vec<usize>, Ticket), Failure> {
        let (tokenizer, max_tokens) = (self.model.tokenizer(), self.model.info().max_tokens);
        let (mut sequences, mut n_windows) = (Vec::new(), Vec::with_capacity(texts.len()));
        for text in texts {
            if is_late(pass.deadline()) {
                return Err(Shed::Late.into());
            }
            let first = sequences.len();
            if only_first {
                let ids = tokenizer.first_window(text, max_tokens);
                sequences.extend(Sequence::new(ids.map_err(|_| Failure::Died)?));
            } else {
                let windows = tokenizer.windows(text, max_tokens, max_tokens / 4);
                let ids = windows.map_err(|_| Failure::Died)?.into_iter();
                sequences.extend(ids.filter_map(|window| Sequence::new(window.ids)));
            }
            n_windows.push(sequences.len() - first);
        }
        let ticket = self.engine.submit_checked(sequences, pass)?;
        Ok((n_windows, ticket))
    }

    /// Cuts the texts of a job into windows, looks them up, and submits what is not known.
    pub(super) fn ask(&self, job: &Job, is_unwanted: &dyn Fn() -> bool) -> Result<Asked, Failure> {
        let (tokenizer, max_tokens) = (self.model.tokenizer(), self.model.info().max_tokens);
        let mut windows = Vec::with_capacity(job.segments.len());
        let mut missing = Missing::default();
        let context = match &job.context {
            Some(prompt) if self.is_joined(job) => {
                let ids = tokenizer.first_window(prompt.expose(), context::MAX_TOKENS);
                let mut ids = ids.map_err(|_| Failure::Died)?;
                Some(self.look_up(job.salt, &mut ids, &mut missing)?)
            }
            _ => None,
        };
        // Windows of a stream never come again.
        let salt = job.salt.filter(|_| job.unit == Unit::Text);
        let (mut said, mut length) = (Vec::new(), Vec::with_capacity(job.segments.len()));
        for (segment_idx, segment) in job.segments.iter().enumerate() {
            let text = segment.content.expose();
            let views = Views::of(text);
            let lower = self.lower.as_ref();
            said.extend(lower.map(|lower| lower.model.said(&views, text.len())));
            let read = read(tokenizer, &views, max_tokens, is_unwanted)?;
            length.push(self.length(&read, job.unit));
            for mut window in read {
                let row = self.look_up(salt, &mut window.ids, &mut missing)?;
                windows.push(AskedWindow {
                    segment_idx,
                    window,
                    row,
                });
            }
        }
        let Missing { sequences, keys } = missing;
        let submitted = if sequences.is_empty() {
            None
        } else {
            let ticket = self
                .engine
                .submit(sequences, job.class, job.tenant, job.deadline)?;
            let known = Arc::clone(&self.known);
            Some(Submitted {
                ticket,
                keys,
                known,
            })
        };
        Ok(Asked {
            context,
            windows,
            lower: said,
            length,
            submitted,
        })
    }

    /// Whether any of the job is an answer that the model judges in its context.
    fn is_joined(&self, job: &Job) -> bool {
        self.joining.is_some() && job.segments.iter().any(is_answer)
    }

    /// What is known of a window, or where it is submitted; takes its tokens.
    fn look_up(
        &self,
        salt: Option<Salt>,
        ids: &mut Vec<u32>,
        missing: &mut Missing,
    ) -> Result<Row, Failure> {
        let key = salt.map(|salt| self.known.key(&salt, ids));
        let known = key.and_then(|key| self.known.get(&key));
        if known.is_none() {
            let sequence = Sequence::new(std::mem::take(ids)).ok_or(Failure::Died)?;
            missing.sequences.push(sequence);
            missing.keys.push(key);
        }
        Ok(known)
    }

    /// Waits for the engine and puts everything on the scale, in segment order.
    pub(super) async fn verdict(&self, job: &Job, mut asked: Asked) -> Result<Verdict, Failure> {
        let logits = match &mut asked.submitted {
            Some(submitted) => Some(submitted.logits().await?),
            None => None,
        };
        let mut rows = logits.iter().flat_map(|logits| logits.rows());
        let (mut found, mut joined) = (Vec::new(), Vec::new());
        let context = match &asked.context {
            Some(row) => Some(outputs(row, &mut rows)?),
            None => None,
        };
        let mut windows = Vec::with_capacity(asked.windows.len());
        for window in &asked.windows {
            let mut outputs = outputs(&window.row, &mut rows)?;
            let segment = &job.segments[window.segment_idx];
            if let (Some(joining), Some(prompt), true) =
                (&self.joining, context, is_answer(segment))
            {
                joined.clear();
                joined.extend_from_slice(outputs);
                joining.join(&mut joined, prompt);
                outputs = &joined;
            }
            let ReadWindow { range, view, .. } = &window.window;
            let said = asked.lower.get(window.segment_idx);
            let length = asked.length[window.segment_idx];
            self.evidence(
                outputs,
                said.map(|said| said.near(range)),
                length,
                &mut found,
            );
            let scores = self.scores(&found, segment.surface, job.unit)?;
            windows.push(Window {
                vectors: self.vectors(&found),
                ..segment.window(range.clone(), *view, Detector::Encoder, scores)
            });
        }
        Ok(Verdict { windows })
    }

    /// The score of each category: the largest of the labels that stand for it.
    fn scores(&self, found: &[f32], surface: Surface, unit: Unit) -> Result<Scores, Failure> {
        let scale = self.scale.as_ref().ok_or(Failure::Died)?;
        let mut scores = [0.0_f32; Category::COUNT];
        for (label, category) in self.categories.iter().enumerate() {
            let Some(category) = category else { continue };
            let score = scale.score(label, surface, unit, found[label]);
            if !score.is_finite() {
                return Err(Failure::NonFinite);
            }
            let most = &mut scores[category.index()];
            *most = most.max(score);
        }
        Scores::new(scores).ok_or(Failure::NonFinite)
    }

    /// The ways round a guard that are likelier than not.
    fn vectors(&self, found: &[f32]) -> Vectors {
        let likely = self.vectors.iter().zip(found);
        let likely = likely.filter_map(|(vector, found)| vector.filter(|_| 0.0 < *found));
        likely.fold(Vectors::NONE, Vectors::with)
    }

    /// What a text's length takes off the evidence of its windows; nothing off a stream's, which are
    /// judged one by one.
    fn length(&self, windows: &[ReadWindow], unit: Unit) -> f32 {
        let written = windows.iter().filter(|window| window.view == View::Raw);
        match unit {
            Unit::Text => self.long_text * (written.count().clamp(1, MOST_WINDOWS) as f32).ln(),
            Unit::StreamWindow => 0.0,
        }
    }

    /// The evidence for each label, from a window's outputs, what the tier below says near it, and
    /// what the text's length takes off. Rows of a token classifier are evidence already.
    fn evidence(
        &self,
        outputs: &[f32],
        said: Option<[f32; Category::COUNT]>,
        length: f32,
        found: &mut Vec<f32>,
    ) {
        let kind = match self.model.info().kind {
            Kind::Token => Kind::MultiLabel,
            kind => kind,
        };
        evidence(kind, outputs, found);
        for (found, category) in found.iter_mut().zip(&self.categories) {
            *found -= category.map_or(0.0, |_| length);
        }
        let (Some(lower), Some(said)) = (&self.lower, said) else {
            return;
        };
        let label = lower.non_english.map(|label| found[label]);
        let non_english = label.map_or(0.0, |logit| 1.0 / (1.0 + (-logit).exp()));
        let weighed = self.categories.iter().zip(&lower.shares);
        for (found, (category, share)) in found.iter_mut().zip(weighed) {
            *found += category.map_or(0.0, |it| share.at(non_english) * said[it.index()]);
        }
    }

    /// The strongest evidence of each label over a text's windows.
    pub(super) fn evident(
        &self,
        row: &dataset::Row,
        deadline: Deadline,
    ) -> Result<Vec<f32>, Failure> {
        self.strongest(row, Unit::Text, deadline)
    }

    /// What a harmless text shows, as a whole and in windows as streams are cut.
    pub(super) fn harmless(
        &self,
        row: &dataset::Row,
        deadline: Deadline,
    ) -> Result<Harmless, Failure> {
        Ok(Harmless {
            role: row.role,
            source: row.source.clone(),
            labels: row.labels,
            text: self.evident(row, deadline)?,
            windows: self.strongest(row, Unit::StreamWindow, deadline)?,
        })
    }

    /// The strongest evidence of each label over a text's windows, each in the text's context.
    fn strongest(
        &self,
        row: &dataset::Row,
        unit: Unit,
        deadline: Deadline,
    ) -> Result<Vec<f32>, Failure> {
        let (tokenizer, max_tokens) = (self.model.tokenizer(), self.model.info().max_tokens);
        let max_tokens = match unit {
            Unit::Text => max_tokens,
            Unit::StreamWindow => max_tokens.min(tokenizer.n_special() + STREAM_WINDOW_TOKENS),
        };
        let views = Views::of(row.text.expose());
        let context = row.context.as_ref().zip(self.joining.as_ref());
        let mut sequences = Vec::new();
        if let Some((prompt, _)) = context {
            let ids = tokenizer.first_window(prompt.expose(), context::MAX_TOKENS);
            sequences.extend(Sequence::new(ids.map_err(|_| Failure::Died)?));
        }
        let windows = read(tokenizer, &views, max_tokens, &|| false)?;
        let length = self.length(&windows, unit);
        let mut ranges = Vec::with_capacity(windows.len());
        for window in windows {
            ranges.push(window.range);
            sequences.extend(Sequence::new(window.ids));
        }
        let ticket = self.engine.submit(sequences, Class::Bulk, 0, deadline)?;
        let logits = ticket.wait()?;
        let mut rows = logits.rows();
        let prompt = context.and_then(|(_, joining)| Some((joining, rows.next()?)));
        let said = self.lower.as_ref();
        let said = said.map(|lower| lower.model.said(&views, row.text.len()));
        let (mut joined, mut found, mut most) = (Vec::new(), Vec::new(), Vec::new());
        for (outputs, range) in rows.zip(&ranges) {
            joined.clear();
            joined.extend_from_slice(outputs);
            if let Some((joining, prompt)) = prompt {
                joining.join(&mut joined, prompt);
            }
            let said = said.as_ref().map(|said| said.near(range));
            self.evidence(&joined, said, length, &mut found);
            if most.is_empty() {
                most.clone_from(&found);
            }
            most.iter_mut()
                .zip(&found)
                .for_each(|(most, own): (&mut f32, _)| *most = most.max(*own));
        }
        Ok(most)
    }
}

/// The outputs for a window.
fn outputs<'r>(
    row: &'r Row,
    rows: &mut impl Iterator<Item = &'r [f32]>,
) -> Result<&'r [f32], Failure> {
    match row {
        Some(known) => Ok(known),
        None => rows.next().ok_or(Failure::Died),
    }
}

/// Whether a segment was written by a model, in answer to a prompt.
const fn is_answer(segment: &Segment) -> bool {
    matches!(
        segment.surface,
        Surface::Completion | Surface::Reasoning | Surface::ToolCall
    )
}

pub(super) fn is_late(deadline: Deadline) -> bool {
    deadline <= Instant::now()
}
