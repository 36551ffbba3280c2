//! An encoder as a [`Classifier`].

use super::context::{self, ContextError, Joining};
use super::known::KnownWindows;
use super::labels::{LabelError, categories, evidence, shares};
use super::read::{ReadWindow, read};
use super::runner::ModelRunner;
use super::scale::{Harmless, ModelScale, ScaleError};
use crate::batching::{
    BatchingConfig, Engine, EngineLoad, Observer, Pass, Runner, Sequence, StartError, Ticket,
};
use crate::dataset;
use crate::worker::Worker;
use crate::{Class, Classifier, Deadline, Failure, Identity, Job, Pending, Segment, Shed, Unit};
use crate::{Salt, Verdict};
use portcullis_models::{Facts, Kind, Model, Team};
use portcullis_text::{Category, Detector, Scores, Span, Surface, Window};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// Texts up to this many bytes are cut into tokens on the caller's thread: about half a millisecond.
const INLINE_BYTES: usize = 1024;
/// The same for texts as they are written, of which there is one view.
const INLINE_RAW_BYTES: usize = 4096;
/// Longer jobs that may wait to be cut; one more is shed.
const QUEUE_JOBS: usize = 1024;
/// The name of the encoder in metrics.
const NAME: &str = "encoder";

/// How an encoder is run.
#[derive(Clone, Copy, Debug)]
pub struct NeuralConfig {
    /// Threads that run the model; at least 1.
    pub n_workers: usize,
    /// Bytes of windows remembered between jobs.
    pub known_bytes: u64,
}

/// Why an encoder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NeuralError {
    /// Its labels say nothing.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// Its scale cannot be used.
    #[error(transparent)]
    Scale(#[from] ScaleError),
    /// Its weights for a context do not fit.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// It has no scale.
    #[error(
        "the model has no score scale, so no threshold could mean anything; fit one with \
         `portcullis model scale {dir} --texts HARMLESS.jsonl`"
    )]
    NoScale {
        /// Its directory.
        dir: String,
    },
    /// The engine could not be started.
    #[error("the batching engine could not be started")]
    Engine(#[from] StartError),
}

/// What a model says of one text, without a scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// In the order of the model's labels: the largest over the text's windows.
    pub logits: Vec<f32>,
    /// Probabilities: of one label among all, or of each by itself.
    pub shares: Vec<f32>,
}

/// An encoder on the batching engine.
///
/// Overload is [`Shed`], at the door where the text is short, else as the verdict; a panic is
/// [`Failure::Died`], a logit that is not a number [`Failure::NonFinite`], never "safe".
pub struct NeuralClassifier {
    core: Arc<Core>,
    identity: Identity,
    reader: Worker<Reading>,
}

impl fmt::Debug for NeuralClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NeuralClassifier({})", self.identity.digest)
    }
}

struct Core {
    model: Arc<Model>,
    engine: Engine,
    known: KnownWindows,
    /// By label.
    categories: Vec<Option<Category>>,
    scale: Option<ModelScale>,
    /// How an answer is judged in the context of its prompt, where the model can.
    joining: Option<Joining>,
}

/// A long job for the thread that cuts texts.
type Reading = Box<dyn FnOnce() + Send>;

/// What was asked of the engine for a job.
struct Asked {
    /// The prompt that answers among the segments are judged beside; the first row of the ticket
    /// where it is not known.
    context: Option<Row>,
    windows: Vec<AskedWindow>,
    ticket: Option<Ticket>,
}

struct AskedWindow {
    segment_idx: usize,
    window: ReadWindow,
    row: Row,
}

/// Where the outputs for a window come from.
struct Row {
    /// Of an earlier job; without them they are the next row of the ticket.
    known: Option<Arc<[f32]>>,
    key: Option<[u8; 32]>,
}

impl NeuralClassifier {
    /// Starts the engine for a model. Without a scale in its directory it answers
    /// [`Self::predict`] and has no scores: see [`Self::require_scale`].
    ///
    /// # Errors
    /// [`NeuralError`].
    pub fn start(
        model: Arc<Model>,
        config: NeuralConfig,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, NeuralError> {
        let facts = model.info();
        let scale = model.sidecar().scale.as_deref();
        let scale = scale.map(|path| ModelScale::load(path, &facts.digest, &facts.labels));
        let scale = scale.transpose()?;
        let categories = match (&scale, categories(facts, model.sidecar())) {
            (_, Ok(categories)) => categories,
            (Some(_), Err(error)) => return Err(error.into()),
            (None, Err(_)) => vec![None; facts.labels.len()],
        };
        let batching = BatchingConfig::new(config.n_workers, facts.labels.len());
        let runner = Arc::clone(&model);
        let team = Arc::new(Team::new(config.n_workers));
        let engine = Engine::start(batching, observer, move |_| {
            Ok(Box::new(ModelRunner::new(&runner, &team)) as Box<dyn Runner>)
        })?;
        let joining = Joining::of(facts, &model.sidecar().context)?;
        let identity = Identity {
            detector: Detector::Encoder,
            model: NAME.to_owned(),
            digest: facts.digest.clone(),
        };
        let core = Arc::new(Core {
            known: KnownWindows::new(&facts.digest, config.known_bytes),
            model,
            engine,
            categories,
            scale,
            joining,
        });
        let reader = Worker::start("portcullis-reader", QUEUE_JOBS, |reading: Reading| {
            reading();
        });
        Ok(Self {
            core,
            identity,
            reader,
        })
    }

    /// Refuses a model whose scores would mean nothing.
    ///
    /// # Errors
    /// [`NeuralError::NoScale`].
    pub fn require_scale(&self, dir: &std::path::Path) -> Result<(), NeuralError> {
        if self.core.scale.is_some() {
            return Ok(());
        }
        Err(NeuralError::NoScale {
            dir: dir.display().to_string(),
        })
    }

    /// What the model is.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        self.core.model.info()
    }

    /// What the engine holds now.
    #[must_use]
    pub fn engine_load(&self) -> EngineLoad {
        self.core.engine.load()
    }

    /// What the model says of texts as they are written, in no view and on no scale.
    ///
    /// A text longer than the model's window is read in overlapping windows, whose largest logits
    /// count; with `only_first` its first window alone.
    ///
    /// # Errors
    /// [`Failure`], of the whole order.
    pub async fn predict(
        &self,
        texts: Vec<String>,
        only_first: bool,
        pass: Pass,
    ) -> Result<Vec<Prediction>, Failure> {
        let core = Arc::clone(&self.core);
        let n_bytes: usize = texts.iter().map(String::len).sum();
        let (n_windows, ticket) = if n_bytes <= INLINE_RAW_BYTES {
            core.order(&texts, only_first, pass)?
        } else {
            let (sender, receiver) = oneshot::channel();
            let reading = move || {
                // Nobody waits any more: then nobody misses it.
                if !sender.is_closed() {
                    drop(sender.send(core.order(&texts, only_first, pass.aged())));
                }
            };
            let offered = self.reader.offer(Box::new(reading));
            offered.map_err(|_| Shed::QueueFull)?;
            receiver.await.map_err(|_| Failure::Died)??
        };
        let logits = ticket.await?;
        let kind = self.facts().kind;
        let mut rows = logits.rows();
        let predictions = n_windows.into_iter().map(|n_windows| {
            let logits = most(&mut rows, n_windows);
            Prediction {
                shares: shares(kind, &logits),
                logits,
            }
        });
        Ok(predictions.collect())
    }

    /// Whether the engine would take one more text now, for [`Self::predict`]; to be asked before a
    /// text is read.
    ///
    /// # Errors
    /// [`Shed`], which is counted.
    pub fn check(&self, tenant: u64, deadline: Deadline) -> Result<Pass, Shed> {
        self.core.engine.check(Class::Prompt, tenant, deadline)
    }

    /// The category that each of the model's labels stands for.
    #[must_use]
    pub fn categories(&self) -> &[Option<Category>] {
        &self.core.categories
    }

    /// What a harmless text shows of each label, as a whole and in windows as streams are cut:
    /// what [`ModelScale::fit`] needs. Blocks.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn harmless(&self, row: &dataset::Row, deadline: Deadline) -> Result<Harmless, Failure> {
        let core = &self.core;
        let stream_tokens = core.model.tokenizer().n_special() + STREAM_WINDOW_TOKENS;
        let strongest = |max_tokens| core.strongest(row, max_tokens, deadline);
        Ok(Harmless {
            role: row.role,
            source: row.source.clone(),
            labels: row.labels,
            text: strongest(core.model.info().max_tokens)?,
            windows: strongest(stream_tokens.min(core.model.info().max_tokens))?,
        })
    }
}

/// Tokens of a window of a stream (DESIGN 7): stride 8 and overlap 24.
const STREAM_WINDOW_TOKENS: usize = 32;

/// The largest of the next `n` rows, by label.
fn most<'r>(rows: &mut impl Iterator<Item = &'r [f32]>, n: usize) -> Vec<f32> {
    let mut most: Vec<f32> = Vec::new();
    for row in rows.take(n) {
        if most.is_empty() {
            most.extend_from_slice(row);
        }
        most.iter_mut()
            .zip(row)
            .for_each(|(most, own)| *most = most.max(*own));
    }
    most
}

impl Classifier for NeuralClassifier {
    fn submit(&self, job: Job) -> Result<Pending, Shed> {
        if is_late(job.deadline) {
            return Err(Shed::Late);
        }
        let core = Arc::clone(&self.core);
        let n_bytes: usize = job
            .segments
            .iter()
            .map(|segment| segment.content.len())
            .sum();
        if n_bytes <= INLINE_BYTES {
            return match core.ask(&job, &|| false) {
                Err(Failure::Shed(shed)) => Err(shed),
                Err(failure) => Ok(Pending::ready(Err(failure))),
                Ok(asked) => Ok(Pending::later(
                    async move { core.verdict(&job, asked).await },
                )),
            };
        }
        if job.salt.is_none() {
            // nothing of it can be known already
            core.engine.check(job.class, job.tenant, job.deadline)?;
        }
        let (sender, receiver) = oneshot::channel();
        let asker = Arc::clone(&core);
        let reading = move || {
            let asked = asker.ask(&job, &|| sender.is_closed() || is_late(job.deadline));
            // Nobody waits any more: then nobody misses it.
            drop(sender.send((job, asked)));
        };
        let offered = self.reader.offer(Box::new(reading));
        offered.map_err(|_| Shed::QueueFull)?;
        Ok(Pending::later(async move {
            let (job, asked) = receiver.await.map_err(|_| Failure::Died)?;
            core.verdict(&job, asked?).await
        }))
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

fn is_late(deadline: Deadline) -> bool {
    deadline <= Instant::now()
}

impl Core {
    /// Cuts texts into windows and submits them all; how many windows each text has.
    fn order(
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
    fn ask(&self, job: &Job, is_unwanted: &dyn Fn() -> bool) -> Result<Asked, Failure> {
        let (tokenizer, max_tokens) = (self.model.tokenizer(), self.model.info().max_tokens);
        let mut windows = Vec::with_capacity(job.segments.len());
        let mut sequences = Vec::new();
        let context = match &job.context {
            Some(prompt) if self.is_joined(job) => {
                let ids = tokenizer.first_window(prompt.expose(), context::MAX_TOKENS);
                let mut ids = ids.map_err(|_| Failure::Died)?;
                Some(self.look_up(job, &mut ids, &mut sequences)?)
            }
            _ => None,
        };
        for (segment_idx, segment) in job.segments.iter().enumerate() {
            let text = segment.content.expose();
            for mut window in read(tokenizer, text, max_tokens, is_unwanted)? {
                let row = self.look_up(job, &mut window.ids, &mut sequences)?;
                windows.push(AskedWindow {
                    segment_idx,
                    window,
                    row,
                });
            }
        }
        let ticket = if sequences.is_empty() {
            None
        } else {
            let submitted = self
                .engine
                .submit(sequences, job.class, job.tenant, job.deadline);
            Some(submitted?)
        };
        Ok(Asked {
            context,
            windows,
            ticket,
        })
    }

    /// Whether any of the job is an answer that the model judges in its context.
    fn is_joined(&self, job: &Job) -> bool {
        self.joining.is_some() && job.segments.iter().any(is_answer)
    }

    /// What is known of a window, or where it is submitted; takes its tokens.
    fn look_up(
        &self,
        job: &Job,
        ids: &mut Vec<u32>,
        sequences: &mut Vec<Sequence>,
    ) -> Result<Row, Failure> {
        let key = job
            .salt
            .as_ref()
            .map(|salt: &Salt| self.known.key(salt, ids));
        let known = key.and_then(|key| self.known.get(&key));
        if known.is_none() {
            sequences.push(Sequence::new(std::mem::take(ids)).ok_or(Failure::Died)?);
        }
        Ok(Row { known, key })
    }

    /// The outputs for a window, from the next row of the ticket where they are not known.
    fn outputs<'r>(
        &self,
        row: &'r Row,
        rows: &mut impl Iterator<Item = &'r [f32]>,
    ) -> Result<&'r [f32], Failure> {
        if let Some(known) = &row.known {
            return Ok(known);
        }
        let outputs = rows.next().ok_or(Failure::Died)?;
        if let Some(key) = row.key {
            self.known.insert(key, outputs);
        }
        Ok(outputs)
    }

    /// Waits for the engine and puts everything on the scale, in segment order.
    async fn verdict(&self, job: &Job, asked: Asked) -> Result<Verdict, Failure> {
        let logits = match asked.ticket {
            Some(ticket) => Some(ticket.await?),
            None => None,
        };
        let mut rows = logits.iter().flat_map(|logits| logits.rows());
        let (mut found, mut joined) = (Vec::new(), Vec::new());
        let context = match &asked.context {
            Some(row) => Some(self.outputs(row, &mut rows)?),
            None => None,
        };
        let mut windows = Vec::with_capacity(asked.windows.len());
        for window in &asked.windows {
            let mut outputs = self.outputs(&window.row, &mut rows)?;
            let segment = &job.segments[window.segment_idx];
            if let (Some(joining), Some(prompt), true) = (&self.joining, context, is_answer(segment)) {
                joined.clear();
                joined.extend_from_slice(outputs);
                joining.join(&mut joined, prompt);
                outputs = &joined;
            }
            let scores = self.scores(outputs, segment.surface, job.unit, &mut found)?;
            windows.push(placed(segment, &window.window, scores));
        }
        Ok(Verdict { windows })
    }

    /// The score of each category: the largest of the labels that stand for it.
    fn scores(
        &self,
        row: &[f32],
        surface: Surface,
        unit: Unit,
        found: &mut Vec<f32>,
    ) -> Result<Scores, Failure> {
        let scale = self.scale.as_ref().ok_or(Failure::Died)?;
        self.evidence(row, found);
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

    /// Rows of a token classifier are evidence already.
    fn evidence(&self, row: &[f32], found: &mut Vec<f32>) {
        let kind = match self.model.info().kind {
            Kind::Token => Kind::MultiLabel,
            kind => kind,
        };
        evidence(kind, row, found);
    }

    /// The strongest evidence of each label over a text's windows, each in the text's context.
    fn strongest(
        &self,
        row: &dataset::Row,
        max_tokens: usize,
        deadline: Deadline,
    ) -> Result<Vec<f32>, Failure> {
        let tokenizer = self.model.tokenizer();
        let context = row.context.as_ref().zip(self.joining.as_ref());
        let mut sequences = Vec::new();
        if let Some((prompt, _)) = context {
            let ids = tokenizer.first_window(prompt.expose(), context::MAX_TOKENS);
            sequences.extend(Sequence::new(ids.map_err(|_| Failure::Died)?));
        }
        let windows = read(tokenizer, row.text.expose(), max_tokens, &|| false)?;
        let own = windows.into_iter();
        sequences.extend(own.filter_map(|window| Sequence::new(window.ids)));
        let ticket = self.engine.submit(sequences, Class::Bulk, 0, deadline)?;
        let logits = ticket.wait()?;
        let mut rows = logits.rows();
        let prompt = context.and_then(|(_, joining)| Some((joining, rows.next()?)));
        let (mut joined, mut found, mut most) = (Vec::new(), Vec::new(), Vec::new());
        for outputs in rows {
            joined.clear();
            joined.extend_from_slice(outputs);
            if let Some((joining, prompt)) = prompt {
                joining.join(&mut joined, prompt);
            }
            self.evidence(&joined, &mut found);
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

/// Whether a segment was written by a model, in answer to a prompt.
const fn is_answer(segment: &Segment) -> bool {
    matches!(
        segment.surface,
        Surface::Completion | Surface::Reasoning | Surface::ToolCall
    )
}

fn placed(segment: &Segment, window: &ReadWindow, scores: Scores) -> Window {
    let range = segment.start + window.range.start..segment.start + window.range.end;
    Window {
        span: Span {
            part: segment.part,
            range,
        },
        surface: segment.surface,
        view: window.view,
        detector: Detector::Encoder,
        scores,
    }
}
