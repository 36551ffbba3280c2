//! An encoder as a [`Classifier`].

use super::context::{ContextError, Joining};
use super::core::{Core, Lower, Share, is_late};
use super::known::KnownWindows;
use super::labels::{LabelError, categories, shares, vectors};
use super::runner::ModelRunner;
use super::scale::{Harmless, ModelScale, ScaleError};
use crate::batching::{BatchingConfig, Engine, EngineLoad, Observer, Pass, Runner, StartError};
use crate::dataset;
use crate::linear::{self, LinearModel};
use crate::worker::Worker;
use crate::{Class, Classifier, Deadline, Failure, Identity, Job, Pending, Shed};
use portcullis_models::{Facts, Model, Sidecar, Team};
use portcullis_text::{Category, CategorySet, Detector, Vector};
use std::fmt;
use std::sync::Arc;
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
    /// The linear model that it was fitted with is damaged.
    #[error("the embedded linear model cannot be used")]
    Linear(#[from] linear::LoadError),
    /// It does not say of a text that it is not in English.
    #[error(
        "`linear_non_english` in portcullis.json counts where the model says by a label \
         `vector_non_english` that a text is not in English, and it has no such label; use `linear`"
    )]
    NoLanguage,
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

/// A long job for the thread that cuts texts.
type Reading = Box<dyn FnOnce() + Send>;

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
        let vectors = vectors(facts);
        let lower = lower(facts, model.sidecar(), &vectors)?;
        let long_text = model.sidecar().long_text;
        let mut digest = facts.digest.clone();
        if let Some(lower) = &lower {
            digest = format!("{digest}+{}", lower.digest());
        }
        if 0.0 < long_text {
            digest = format!("{digest}/{long_text}");
        }
        let scale = model.sidecar().scale.as_ref();
        let scale = scale.map(|file| ModelScale::read(file, &digest, &facts.labels));
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
            digest,
        };
        let core = Arc::new(Core {
            known: Arc::new(KnownWindows::new(&facts.digest, config.known_bytes)),
            model,
            engine,
            categories,
            vectors,
            scale,
            joining,
            lower,
            long_text,
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

    /// What a text shows of each label before any scale, in logits: the most of its windows, with
    /// the share of the linear tier that the model was fitted with. Blocks.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn evidence(&self, row: &dataset::Row, deadline: Deadline) -> Result<Vec<f32>, Failure> {
        self.core.evident(row, deadline)
    }

    /// What a harmless text shows of each label, as a whole and in windows as streams are cut:
    /// what [`ModelScale::fit`] needs. Blocks.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn harmless(&self, row: &dataset::Row, deadline: Deadline) -> Result<Harmless, Failure> {
        self.core.harmless(row, deadline)
    }
}

/// What the linear tier adds to a model that was fitted with it.
fn lower(
    facts: &Facts,
    sidecar: &Sidecar,
    vectors: &[Option<Vector>],
) -> Result<Option<Lower>, NeuralError> {
    let Sidecar {
        linear,
        linear_non_english: elsewhere,
        ..
    } = sidecar;
    if linear.is_empty() && elsewhere.is_empty() {
        return Ok(None);
    }
    let non_english = vectors
        .iter()
        .position(|vector| *vector == Some(Vector::NonEnglish));
    if non_english.is_none() && !elsewhere.is_empty() {
        return Err(NeuralError::NoLanguage);
    }
    let share = |label| {
        let english = linear.get(label).copied().unwrap_or_default();
        let other = elsewhere.get(label).copied().unwrap_or(english);
        Share { english, other }
    };
    Ok(Some(Lower {
        model: LinearModel::embedded()?,
        shares: facts.labels.iter().map(share).collect(),
        non_english,
    }))
}

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

    fn reads_context(&self) -> bool {
        self.core.joining.is_some()
    }

    fn counts_lower(&self) -> CategorySet {
        let mut counted = CategorySet::EMPTY;
        if let Some(lower) = &self.core.lower {
            let weighed = self.core.categories.iter().zip(&lower.shares);
            let weighed = weighed.filter(|(_, share)| 0.0 < share.english.min(share.other));
            weighed
                .filter_map(|(category, _)| *category)
                .for_each(|it| counted.insert(it));
        }
        counted
    }
}
