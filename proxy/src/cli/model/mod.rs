//! `portcullis model`: encoders, which are Hugging Face directories as they are.

mod bench;
mod logits;
mod rows;
mod scale;

use super::{ConfigArgs, Exit, chain, embedded};
use clap::{Args, Subcommand, ValueEnum};
use portcullis_config::Overrides;
use portcullis_models::{Batch, Facts, Kernels, Kind, LoadOptions, Model, Precision};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// The linear tier, and the encoder of a configuration.
    List(ConfigArgs),
    /// Load a model, check its digests, and have it score one sentence.
    Verify(DirArgs),
    /// What a model is, as Markdown; without a directory: the card of the embedded models.
    Card {
        /// The model's directory.
        dir: Option<PathBuf>,
    },
    /// Fit the score scale of a model from harmless texts, and name it in its `portcullis.json`.
    Scale(scale::ScaleArgs),
    /// Print what a model says of texts before any scale, as JSON Lines.
    Logits(logits::LogitsArgs),
    /// Measure latency, throughput and the error of a precision.
    Bench(bench::BenchArgs),
}

#[derive(Clone, Debug, Args)]
pub(super) struct DirArgs {
    /// The model's directory: `config.json`, `tokenizer.json`, `*.safetensors`.
    dir: PathBuf,
    /// What its large products run in; bf16 where the processor has it, else f32.
    #[arg(long, value_enum)]
    precision: Option<Named>,
    /// What runs it (`avx512`, `avx512_vnni`, `avx512_base`, `avx_vnni`, `avx2`, `scalar`,
    /// `candle`); the fastest of this machine.
    #[arg(long)]
    kernels: Option<Kernels>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Named {
    F32,
    Bf16,
    Int8,
}

impl From<Named> for Precision {
    fn from(named: Named) -> Self {
        match named {
            Named::F32 => Self::F32,
            Named::Bf16 => Self::Bf16,
            Named::Int8 => Self::Int8,
        }
    }
}

pub(super) fn model(command: &ModelCommand) -> Result<(), Exit> {
    match command {
        ModelCommand::List(args) => list(args),
        ModelCommand::Verify(args) => verify(args),
        ModelCommand::Card { dir: None } => {
            print!("{}", include_str!("../../../../models/default/CARD.md"));
            Ok(())
        }
        ModelCommand::Card { dir: Some(dir) } => card(dir),
        ModelCommand::Scale(args) => scale::scale(args),
        ModelCommand::Logits(args) => logits::logits(args),
        ModelCommand::Bench(args) => bench::bench(args),
    }
}

impl DirArgs {
    fn load(&self) -> Result<Arc<Model>, Exit> {
        self.load_as(self.precision.map(Precision::from))
    }

    fn load_as(&self, precision: Option<Precision>) -> Result<Arc<Model>, Exit> {
        let options = LoadOptions {
            precision,
            kernels: self.kernels,
        };
        let model = Model::load(&self.dir, &options);
        model
            .map(Arc::new)
            .map_err(|error| Exit::Environment(chain(&error)))
    }
}

pub(super) const fn name_of(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::Int8 => "int8",
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::SingleLabel => "one label a text",
        Kind::MultiLabel => "any number of labels a text",
        Kind::Token => "one label a token",
    }
}

fn list(args: &ConfigArgs) -> Result<(), Exit> {
    let config = args.load(&Overrides::default())?;
    let linear = embedded()?;
    println!("linear   embedded, {}", linear.model().digest());
    let model =
        crate::encoder::load(&config.encoder).map_err(|error| Exit::Environment(chain(&error)))?;
    match model {
        None => println!("encoder  none"),
        Some(model) => {
            let (place, facts) = (PathBuf::from(config.encoder.model), model.info());
            println!(
                "encoder  {}, {}, {}",
                place.display(),
                facts.architecture.name(),
                facts.digest
            );
        }
    }
    Ok(())
}

fn verify(args: &DirArgs) -> Result<(), Exit> {
    let model = args.load()?;
    let failed = |error: &dyn std::error::Error| Exit::Environment(chain(error));
    let windows = model
        .tokenizer()
        .windows("how do I bake bread", model.info().max_tokens, 0)
        .map_err(|error| failed(&error))?;
    let mut batch = Batch::default();
    for window in &windows {
        batch.push(&window.ids);
    }
    let mut worker = model.worker();
    worker
        .run(&batch, &|| false)
        .map_err(|error| failed(&error))?;
    show(model.info());
    println!("ok");
    Ok(())
}

fn show(facts: &Facts) {
    println!("{:14} {}", "architecture", facts.architecture.name());
    println!("{:14} {}", "says", kind_name(facts.kind));
    println!("{:14} {}", "labels", facts.labels.join(", "));
    println!(
        "{:14} {} layers, {} wide, {} heads, {} tokens, vocabulary of {}",
        "size", facts.layers, facts.hidden, facts.heads, facts.max_tokens, facts.vocab_size
    );
    println!(
        "{:14} {}, {}",
        "runs",
        name_of(facts.precision),
        facts.route
    );
    println!("{:14} {} bytes", "weights", facts.weight_bytes);
    println!("{:14} {}", "digest", facts.digest);
}

fn card(dir: &Path) -> Result<(), Exit> {
    let model = Model::load(dir, &LoadOptions::default())
        .map_err(|error| Exit::Environment(chain(&error)))?;
    let (facts, sidecar) = (model.info(), model.sidecar());
    println!("# {}\n", facts.architecture.name());
    println!(
        "- Labels: {} ({})",
        facts.labels.join(", "),
        kind_name(facts.kind)
    );
    for (label, category) in &sidecar.labels {
        println!("- `{label}` stands for `{category}`");
    }
    println!(
        "- {} layers, {} wide, at most {} tokens at once; longer texts are read in windows",
        facts.layers, facts.hidden, facts.max_tokens
    );
    let languages = if sidecar.languages.is_empty() {
        "not said".to_owned()
    } else {
        sidecar.languages.join(", ")
    };
    println!("- Languages: {languages}");
    let scale = match &sidecar.scale {
        Some(_) => "fitted: thresholds are shares of harmless texts",
        None => "none: the policy cannot use it; `portcullis model scale` fits one",
    };
    println!("- Score scale: {scale}");
    println!("- Runs on the {}", facts.route);
    println!("- Digest: `{}`", facts.digest);
    Ok(())
}
