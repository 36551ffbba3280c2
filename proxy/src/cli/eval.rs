//! `portcullis eval`.

use super::{ConfigArgs, Exit, cascade, chain};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_classifiers::Cascade;
use portcullis_classifiers::eval::evaluate;
use portcullis_classifiers::linear::{LinearClassifier, LinearModel};
use portcullis_config::{Config, Overrides};
use portcullis_policy::Engine;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Clone, Debug, Args)]
pub(super) struct EvalArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder of labelled sets (`NAME.jsonl` or `NAME.jsonl.gz`).
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder of a linear model to measure alone, instead of what the configuration screens with.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Also write one self-contained page with precision-recall curves.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn eval(args: &EvalArgs) -> Result<(), Exit> {
    let config = args.config.load(&Overrides::default())?;
    let engine = Engine::compile(&config.policy).map_err(|error| Exit::Usage(chain(&error)))?;
    let cascade = measured(args, &config)?;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} texts {elapsed}") {
        bar.set_style(style);
    }
    let mut progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report = evaluate(&args.data, &cascade, &engine, &mut progress)
        .map_err(|error| Exit::Environment(chain(&error)))?;
    bar.finish_and_clear();
    if let Some(file) = &args.html {
        let unwritable = |error| Exit::Environment(format!("{}: {error}", file.display()));
        std::fs::write(file, report.to_html()).map_err(unwritable)?;
    }
    if args.json {
        let shown = serde_json::to_string(&report);
        println!(
            "{}",
            shown.map_err(|error| Exit::Environment(error.to_string()))?
        );
    } else {
        println!("{}", report.to_table());
    }
    Ok(())
}

/// What the configuration screens with, or a linear model alone.
fn measured(args: &EvalArgs, config: &Config) -> Result<Cascade, Exit> {
    let Some(directory) = &args.model else {
        return cascade(config);
    };
    let model = LinearModel::load(directory).map_err(|error| Exit::Environment(chain(&error)))?;
    Ok(Cascade::new(Arc::new(LinearClassifier::new(model))))
}
