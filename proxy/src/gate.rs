//! Everything that a request needs, built once at start from a configuration.

use crate::commands::Commands;
use crate::identity::Identities;
use crate::label::Labeller;
use crate::load::Load;
use crate::record::{EngineMetrics, Metrics, Record, Recorder, Sink};
use crate::upstream::{BadUrl, Upstream};
use portcullis_classifiers::cache::{NoRandomness, RefusedTurns, Salts, VerdictCache};
use portcullis_classifiers::cascade::Cascade;
use portcullis_classifiers::classifier::{Classifier, Failure};
use portcullis_classifiers::neural::NeuralClassifier;
use portcullis_config::{Config, PassOrRefuse, RefusalRules};
use portcullis_policy::{CompileError, Engine};
use portcullis_protocol::{Dialect, OnPart, ParseRules};
use portcullis_text::Detector;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that cached verdicts may take; the least recently used go first.
const CACHE_BYTES: u64 = 64 << 20;

/// Refused turns remembered; the least recently used go first.
const REFUSED_TURNS: u64 = 100_000;

/// The gate: configuration, policy, classifiers, upstreams and records, shared by all requests.
#[derive(Debug)]
pub struct Gate {
    pub(crate) config: Config,
    pub(crate) engine: Arc<Engine>,
    pub(crate) cascade: Cascade,
    pub(crate) encoder: Option<Arc<NeuralClassifier>>,
    pub(crate) salts: Salts,
    pub(crate) refused: RefusedTurns,
    pub(crate) upstream: Upstream,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) identities: Identities,
    pub(crate) commands: Commands,
    pub(crate) labeller: Labeller,
    pub(crate) own_texts: OwnTexts,
    pub(crate) load: Load,
    policy_label: String,
    draining: AtomicBool,
}

/// Texts that we put into conversations ourselves, to know them again in a returned history.
#[derive(Debug)]
pub(crate) struct OwnTexts {
    /// Whole answers: refusals and redirections.
    pub(crate) refusals: Vec<String>,
    /// Appended to answers: notices and disclaimers.
    pub(crate) inserted: Vec<String>,
    /// Whole answers to commands.
    pub(crate) replies: Vec<String>,
}

/// Why a gate could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The policy does not compile.
    #[error("the policy does not compile")]
    Policy(#[from] CompileError),
    /// An upstream cannot be used.
    #[error(transparent)]
    Upstream(#[from] BadUrl),
    /// The system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The system gave no randomness for pseudonyms.
    #[error("the operating system gave no random bytes for pseudonyms: {0}")]
    Pseudonyms(getrandom::Error),
    /// The encoder cannot be used.
    #[error("`encoder`")]
    Encoder(#[from] crate::encoder::EncoderError),
    /// A metric is registered twice.
    #[error("a metric could not be registered")]
    Metrics(#[from] prometheus::Error),
    /// The record sink cannot be opened.
    #[error("`record`: decision records cannot be written")]
    Sink(#[from] std::io::Error),
}

impl Gate {
    /// Builds a gate around a classifier (the lowest tier), with the encoder that the configuration
    /// names above it. Loading one blocks.
    ///
    /// # Errors
    /// [`BuildError`] names the part of the configuration that cannot be used.
    pub fn new(config: Config, classifier: Arc<dyn Classifier>) -> Result<Self, BuildError> {
        let engine = Arc::new(Engine::compile(&config.policy)?);
        let metrics = Metrics::new()?;
        let observer = Arc::new(EngineMetrics::of(&metrics));
        let encoder = crate::encoder::start(&config.encoder, observer)?;
        let mut cascade =
            Cascade::new(classifier).with_cache(Arc::new(VerdictCache::new(CACHE_BYTES)));
        if let Some(encoder) = &encoder {
            cascade = cascade.with_tier(Arc::clone(encoder) as Arc<dyn Classifier>);
        }
        let policy_label = format!("{}@{}", engine.name(), engine.digest8());
        let digests = cascade.identities().into_iter();
        let digests = digests
            .map(|it| format!("{}@{}", it.model, it.digest))
            .collect();
        metrics.announce(engine.name(), engine.digest8());
        let sink = Sink::open(&config.record)?;
        let labeller = Labeller::new(&config.labels);
        let info = info_text(&policy_label);
        let own_texts = OwnTexts::new(&engine, &labeller, &config, &info);
        Ok(Self {
            upstream: Upstream::new(&config.upstreams, &config.timeouts)?,
            recorder: Arc::new(Recorder::new(
                metrics,
                sink,
                policy_label.clone(),
                engine.mode(),
                digests,
            )),
            identities: Identities::new(config.identity.clone()).map_err(BuildError::Pseudonyms)?,
            commands: Commands::new(config.commands.clone(), info),
            salts: Salts::new()?,
            refused: RefusedTurns::new(REFUSED_TURNS),
            draining: AtomicBool::new(false),
            load: Load::new(&config.limits),
            labeller,
            own_texts,
            policy_label,
            cascade,
            encoder,
            engine,
            config,
        })
    }

    /// `name@digest8` of the policy in force.
    #[must_use]
    pub fn policy_label(&self) -> &str {
        &self.policy_label
    }

    /// `model@digest` of each classifier.
    #[must_use]
    pub fn classifier_labels(&self) -> Vec<String> {
        let identities = self.cascade.identities().into_iter();
        identities
            .map(|it| format!("{}@{}", it.model, it.digest))
            .collect()
    }

    /// Everything that looks at a text.
    pub(crate) fn detectors(&self) -> Vec<Detector> {
        let tiers = self.cascade.identities().into_iter();
        std::iter::once(Detector::Pattern)
            .chain(tiers.map(|tier| tier.detector))
            .collect()
    }

    /// Whether requests can be served, or why not.
    ///
    /// # Errors
    /// The reason, for `/readyz`.
    pub fn readiness(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Err("shutting down");
        }
        Ok(())
    }

    /// From here on the gate says that it is not ready.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The page of `/metrics`.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn metrics_page(&self) -> prometheus::Result<Vec<u8>> {
        self.recorder.metrics.page()
    }

    /// The record of a decision, whoever it belongs to; waits until the exchange has ended.
    pub(crate) async fn final_record(&self, id: &str) -> Option<Arc<Record>> {
        self.recorder.ended(id).await
    }

    /// Lets every classifier score once, so that the first request does not pay for it.
    ///
    /// # Errors
    /// The failure of a classifier that cannot score.
    pub async fn warm(&self) -> Result<(), Failure> {
        self.cascade.warm().await.map_err(|closed| closed.failure)
    }

    pub(crate) const fn refusal_rules(&self, dialect: Dialect) -> RefusalRules {
        match dialect {
            Dialect::OpenAiChat => self.config.refusals.openai,
            Dialect::AnthropicMessages => self.config.refusals.anthropic,
        }
    }

    pub(crate) fn parse_rules(&self) -> ParseRules {
        let content = &self.config.content;
        ParseRules {
            depth: self.config.limits.depth,
            images: on_part(content.images),
            audio: on_part(content.audio),
            files: on_part(content.files),
            unknown: on_part(content.unknown),
        }
    }
}

const fn on_part(rule: PassOrRefuse) -> OnPart {
    match rule {
        PassOrRefuse::Pass => OnPart::Pass,
        PassOrRefuse::Refuse => OnPart::Refuse,
    }
}

impl OwnTexts {
    fn new(engine: &Engine, labeller: &Labeller, config: &Config, info: &str) -> Self {
        let mut inserted = engine.inserted_texts();
        inserted.push(labeller.text().to_owned());
        let custom = config
            .commands
            .custom
            .iter()
            .map(|custom| custom.say.clone());
        let replies = [crate::commands::RESET_TEXT.to_owned(), info.to_owned()];
        Self {
            refusals: engine.refusal_texts(),
            inserted,
            replies: replies.into_iter().chain(custom).collect(),
        }
    }
}

/// What `/ai-info` answers.
fn info_text(policy: &str) -> String {
    format!(
        "You are talking to an AI system. What you write and what it answers is checked \
         automatically against the service's acceptable-use policy ({policy}). \
         Send /reset-ai to start afresh."
    )
}
