//! The command line. Exit codes: 0 fine, 1 the answer is no, 2 wrong usage or configuration,
//! 3 the environment (port taken, file unreadable, damaged weights).

mod check;
mod classify;
mod doctor;
mod eval;
mod model;
mod policy;
mod serve;
mod train;

use clap::{Args, Parser, Subcommand};
use miette::Diagnostic;
use portcullis_classifiers::linear::{LinearClassifier, LinearModel};
use portcullis_classifiers::{Cascade, Classifier};
use portcullis_config::{Config, ConfigError, Overrides};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// A safety gate for LLM traffic: a reverse proxy that screens prompts and completions.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Stand in front of an LLM endpoint.
    Serve(ServeArgs),
    /// Show what the gate does, against a scripted model; no configuration, no key.
    Demo(DemoArgs),
    /// Validate a configuration or policy file.
    Check {
        /// The YAML file.
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Score texts with the classifiers and say what the policy would do.
    Classify(classify::ClassifyArgs),
    /// Measure the classifier on labelled sets.
    Eval(eval::EvalArgs),
    /// Train a classifier from labelled data.
    #[command(subcommand)]
    Train(train::TrainCommand),
    /// Test and explain a policy.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Look at encoders: Hugging Face directories as they are.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Look at this machine and this configuration, and say what is wrong.
    Doctor(ConfigArgs),
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
struct ConfigArgs {
    /// Configuration file (YAML). Without it: the balanced policy and the embedded classifiers.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Base URL of the LLM endpoint, for both dialects.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Address of the data plane.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of the admin plane.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, Args)]
struct DemoArgs {
    /// Leave after the table instead of staying up.
    #[arg(long)]
    once: bool,
}

/// Why a command did not do its work.
#[derive(Debug)]
enum Exit {
    /// The answer is no; everything was said already.
    No,
    /// The configuration is wrong.
    Config(Box<ConfigError>),
    /// Wrong usage.
    Usage(String),
    /// Something around us is wrong.
    Environment(String),
}

impl From<ConfigError> for Exit {
    fn from(error: ConfigError) -> Self {
        if error.is_environment() {
            return Self::Environment(chain(&error));
        }
        Self::Config(Box::new(error))
    }
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // One provider of cryptography; a second one in the graph could not take over.
    drop(rustls::crypto::ring::default_provider().install_default());
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

/// Runs `serve` with a classifier of the caller's, for programs that bring their own.
#[must_use]
pub fn serve_with(classifier: Arc<dyn Classifier>) -> ExitCode {
    let Command::Serve(args) = Cli::parse().command else {
        return Exit::Usage("this program only serves".to_owned()).report();
    };
    drop(rustls::crypto::ring::default_provider().install_default());
    match serve::serve(&args, classifier) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

fn run(command: Command) -> Result<(), Exit> {
    match command {
        Command::Serve(args) => serve::serve(&args, embedded()?),
        Command::Demo(args) => crate::demo::run(args.once).map_err(Exit::Environment),
        Command::Check { file } => check::check(&file),
        Command::Schema => check::schema(),
        Command::Classify(args) => classify::classify(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Train(command) => train::train(&command),
        Command::Policy(command) => policy::policy(&command),
        Command::Model(command) => model::model(&command),
        Command::Doctor(args) => doctor::doctor(&args),
    }
}

impl Exit {
    fn report(self) -> ExitCode {
        match self {
            Self::No => ExitCode::from(1),
            Self::Config(error) => {
                report(*error);
                ExitCode::from(2)
            }
            Self::Usage(message) => {
                eprintln!("portcullis: {message}");
                ExitCode::from(2)
            }
            Self::Environment(message) => {
                eprintln!("portcullis: {message}");
                ExitCode::from(3)
            }
        }
    }
}

/// Shows an error with the line it is about and a caret under the place.
fn report(error: impl Diagnostic + Send + Sync + 'static) {
    eprintln!("{:?}", miette::Report::new(error));
}

impl ConfigArgs {
    fn load(&self, overrides: &Overrides) -> Result<Config, Exit> {
        Ok(portcullis_config::load(self.config.as_deref(), overrides)?)
    }
}

/// The embedded linear tier, its digest checked.
fn embedded() -> Result<Arc<LinearClassifier>, Exit> {
    let damaged = |error: &dyn std::error::Error| {
        Exit::Environment(format!(
            "the embedded linear tier cannot be used: {}",
            chain(error)
        ))
    };
    let model = LinearModel::embedded().map_err(|error| damaged(&error))?;
    Ok(Arc::new(LinearClassifier::new(model)))
}

/// Everything that scores a text under a configuration.
fn cascade(config: &Config) -> Result<Cascade, Exit> {
    let cascade = Cascade::new(embedded()?);
    let encoder = crate::encoder::start(&config.encoder, Arc::new(()));
    Ok(
        match encoder.map_err(|error| Exit::Environment(chain(&error)))? {
            None => cascade,
            Some(encoder) => cascade.with_tier(encoder),
        },
    )
}

/// An error with all its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Seconds-level logs on standard error; `RUST_LOG` narrows or widens them.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start in one process keeps the first logger.
    drop(subscriber.try_init());
}
