//! `portcullis eval`.

use super::{ConfigArgs, Exit, chain, embedded};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_classifiers::eval::evaluate;
use portcullis_classifiers::linear::{LinearClassifier, LinearModel};
use portcullis_config::Overrides;
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
    /// Folder of a linear model to measure instead of the embedded one.
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
    let classifier = model(args)?;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} texts {elapsed}") {
        bar.set_style(style);
    }
    let mut progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report = evaluate(&args.data, &*classifier, &engine, &mut progress)
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

fn model(args: &EvalArgs) -> Result<Arc<LinearClassifier>, Exit> {
    let Some(directory) = &args.model else {
        return embedded();
    };
    let model = LinearModel::load(directory).map_err(|error| Exit::Environment(chain(&error)))?;
    Ok(Arc::new(LinearClassifier::new(model)))
}
