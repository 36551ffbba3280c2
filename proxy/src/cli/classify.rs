//! `portcullis classify`.

use super::{ConfigArgs, Exit, cascade, chain};
use crate::offline::{Sight, look};
use clap::Args;
use futures_util::stream::{self, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_classifiers::Cascade;
use portcullis_config::Overrides;
use portcullis_policy::{Decision, Engine};
use portcullis_text::{Category, Surface, Vectors};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};

/// Texts of a file that are judged at once, so that the encoder has batches and no core waits.
const AT_ONCE: usize = 8;

#[derive(Clone, Debug, Args)]
pub(super) struct ClassifyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The text; `-` reads standard input.
    #[arg(conflicts_with = "file", required_unless_present = "file")]
    text: Option<String>,
    /// JSON Lines with a `text` in each, and optionally `id`, `surface` and `context`, the prompt
    /// that an answer is judged beside.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where the text stands.
    #[arg(long, value_parser = parse_surface, default_value = "user")]
    on: Surface,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Line {
    text: String,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    surface: Option<Surface>,
    #[serde(default)]
    context: Option<String>,
}

struct Judge {
    cascade: Cascade,
    engine: Engine,
}

pub(super) fn parse_surface(name: &str) -> Result<Surface, String> {
    let found = Surface::ALL
        .into_iter()
        .find(|surface| surface.name() == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = Surface::ALL.into_iter().map(Surface::name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

pub(super) fn classify(args: &ClassifyArgs) -> Result<(), Exit> {
    let config = args.config.load(&Overrides::default())?;
    let judge = Judge {
        cascade: cascade(&config)?,
        engine: Engine::compile(&config.policy).map_err(|error| Exit::Usage(chain(&error)))?,
    };
    let runtime = offline_runtime()?;
    runtime.block_on(async {
        match (&args.file, &args.text) {
            (Some(file), _) => classify_file(&judge, file, args).await,
            (None, Some(text)) if text == "-" => {
                let mut text = String::new();
                let read = stdin().lock().read_to_string(&mut text);
                read.map_err(|error| Exit::Environment(format!("standard input: {error}")))?;
                classify_text(&judge, &text, args).await
            }
            (None, text) => classify_text(&judge, text.as_deref().unwrap_or_default(), args).await,
        }
    })
}

pub(super) fn offline_runtime() -> Result<tokio::runtime::Runtime, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| Exit::Environment(format!("no runtime could be started: {error}")))
}

impl Judge {
    async fn look(
        &self,
        surface: Surface,
        text: &str,
        context: Option<&str>,
    ) -> Result<(Sight, Decision), Exit> {
        let sight = look(&self.cascade, &self.engine, surface, text, context).await;
        let sight = sight.map_err(|failure| Exit::Environment(failure.to_string()))?;
        let decision = sight.decide(&self.engine);
        Ok((sight, decision))
    }
}

async fn classify_text(judge: &Judge, text: &str, args: &ClassifyArgs) -> Result<(), Exit> {
    let (sight, decision) = judge.look(args.on, text, None).await?;
    if args.json {
        println!("{}", to_json(None, args.on, &sight, &decision));
        return Ok(());
    }
    println!("{:10} {}", "action", decision.action.name());
    if let Some(row) = decision.deciding() {
        println!(
            "{:10} {} at {:.5}, row at {:.5}",
            "because",
            row.label.metric(),
            row.score,
            row.threshold
        );
    }
    let scores = sight.scores();
    let mut ranked = Category::ALL;
    ranked.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    for category in ranked.into_iter().take(5) {
        println!("{:>18} {:.5}", category.name(), scores[category]);
    }
    Ok(())
}

async fn classify_file(judge: &Judge, file: &Path, args: &ClassifyArgs) -> Result<(), Exit> {
    let unreadable = |error| Exit::Environment(format!("{}: {error}", file.display()));
    let reader = File::open(file).map_err(unreadable)?;
    let bar = bytes_bar(reader.metadata().map_or(0, |meta| meta.len()));
    let lines = BufReader::new(bar.wrap_read(reader)).lines().zip(1..);
    let looks = lines.filter_map(|(line, number)| {
        let line = match line {
            Ok(line) if line.trim().is_empty() => return None,
            Ok(line) => parse(&line, file, number),
            Err(error) => Err(unreadable(error)),
        };
        Some(async {
            let line = line?;
            let surface = line.surface.unwrap_or(args.on);
            let looking = judge.look(surface, &line.text, line.context.as_deref());
            let (sight, decision) = looking.await?;
            Ok::<_, Exit>((line.id, surface, sight, decision))
        })
    });
    let mut looks = std::pin::pin!(stream::iter(looks).buffered(AT_ONCE));
    let mut counts = std::collections::BTreeMap::new();
    let mut out = stdout().lock();
    while let Some(seen) = looks.next().await {
        let (id, surface, sight, decision) = seen?;
        *counts.entry(decision.action).or_insert(0_usize) += 1;
        if args.json {
            let shown = to_json(id, surface, &sight, &decision);
            writeln!(out, "{shown}").map_err(unreadable)?;
        }
    }
    bar.finish_and_clear();
    if !args.json {
        for (action, count) in counts {
            println!("{:10} {count}", action.name());
        }
    }
    Ok(())
}

fn parse(line: &str, file: &Path, number: usize) -> Result<Line, Exit> {
    serde_json::from_str(line).map_err(|error| {
        let file = file.display();
        Exit::Usage(format!(
            "{file}:{number}: expected a JSON object with `text`: {error}"
        ))
    })
}

/// The ways round a guard that the text tries, by all rows that it reaches.
fn vectors(decision: &Decision) -> Vectors {
    let rows = decision.rows.iter();
    rows.fold(Vectors::NONE, |all, row| all.union(row.vectors))
}

pub(super) fn bytes_bar(len: u64) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent}% {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn to_json(id: Option<Value>, surface: Surface, sight: &Sight, decision: &Decision) -> Value {
    let scores = sight.scores();
    let scores: Map<String, Value> = Category::ALL
        .into_iter()
        .map(|category| (category.name().to_owned(), json!(scores[category])))
        .collect();
    let mut shown = json!({
        "surface": surface,
        "action": decision.action,
        "category": decision.deciding().map(|row| row.label.metric()),
        "vectors": vectors(decision),
        "scores": scores,
    });
    if let (Some(id), Some(fields)) = (id, shown.as_object_mut()) {
        fields.insert("id".to_owned(), id);
    }
    shown
}
