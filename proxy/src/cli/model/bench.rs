//! `portcullis model bench`: what a model does on this machine.

use super::scale::texts_of;
use super::{DirArgs, name_of};
use crate::cli::{Exit, chain};
use clap::Args;
use portcullis_models::{Batch, Kind, Model, Precision, Route, Team, peak};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Tokens of the requests that are timed alone.
const LENGTHS: [usize; 5] = [16, 64, 128, 256, 512];
/// How long each of them is timed.
const SPAN: Duration = Duration::from_millis(600);
/// Times that the texts are run; the median counts.
const ROUNDS: usize = 3;
/// Texts of the built-in mix.
const N_TEXTS: usize = 1000;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct BenchArgs {
    #[command(flatten)]
    model: DirArgs,
    /// JSON Lines with a `text` in each; without it: random tokens in the lengths of chat.
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Threads; as many as cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Tokens of a batch.
    #[arg(long, default_value_t = 1024)]
    batch_tokens: usize,
    /// Compare the logits with those in f32.
    #[arg(long)]
    accuracy: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn bench(args: &BenchArgs) -> Result<(), Exit> {
    let model = args.model.load()?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = args.threads.unwrap_or(cores).max(1);
    let sequences = sequences(args, &model)?;
    let batches = batches(&sequences, args.batch_tokens.max(1));

    let latency = latency(&model, threads)?;
    run_all(&model, &batches[..batches.len().min(2 * threads)], threads)?;
    let mut seconds = Vec::new();
    let mut logits = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        logits = run_all(&model, &batches, threads)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_unstable_by(f64::total_cmp);
    let seconds = seconds[ROUNDS / 2];

    let n_tokens: usize = sequences.iter().map(Vec::len).sum();
    let facts = model.info();
    let mut report = json!({
        "model": args.model.dir.display().to_string(),
        "architecture": facts.architecture.name(),
        "precision": name_of(facts.precision),
        "kernels": facts.route.to_string(),
        "threads": threads,
        "weight_bytes": facts.weight_bytes,
        "texts": sequences.len(),
        "tokens": n_tokens,
        "texts_per_s": sequences.len() as f64 / seconds,
        "tokens_per_s": n_tokens as f64 / seconds,
        "latency_ms": latency.best,
        "latency_median_ms": latency.median,
        "peak_fraction": peak_fraction(&model, &sequences, seconds, threads),
        "batch": shapes(&batches),
    });
    if args.accuracy
        && let Some(report) = report.as_object_mut()
    {
        accuracy(args, &batches, threads, &logits, report)?;
    }
    if args.json {
        println!("{report}");
    } else {
        print(&report);
    }
    Ok(())
}

/// The texts as tokens, long ones in windows; or random tokens in the lengths of chat.
fn sequences(args: &BenchArgs, model: &Model) -> Result<Vec<Vec<u32>>, Exit> {
    let max_tokens = model.info().max_tokens;
    let Some(path) = &args.texts else {
        return Ok(built_in(model));
    };
    let mut sequences = Vec::new();
    for text in texts_of(path)? {
        let windows = model.tokenizer().windows(&text, max_tokens, max_tokens / 4);
        let windows = windows.map_err(|error| Exit::Environment(chain(&error)))?;
        sequences.extend(windows.into_iter().map(|window| window.ids));
    }
    if sequences.is_empty() {
        return Err(Exit::Usage(format!("{} holds no texts", path.display())));
    }
    Ok(sequences)
}

/// Lengths as of chat: log-normal, median 34, mean 67 tokens, cut at what the model takes.
fn built_in(model: &Model) -> Vec<Vec<u32>> {
    let (max_tokens, vocab) = (model.info().max_tokens, model.info().vocab_size as u64);
    let mut random = Random(7);
    let length = |random: &mut Random| {
        let length = (34.0_f64.ln() + 1.164 * random.normal()).exp();
        (length.round() as usize).clamp(3.min(max_tokens), max_tokens)
    };
    (0..N_TEXTS)
        .map(|_| {
            let n = length(&mut random);
            let id = |_| u32::try_from(random.next() % vocab).unwrap_or_default();
            (0..n).map(id).collect()
        })
        .collect()
}

/// SplitMix64: the same texts on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

fn batches(sequences: &[Vec<u32>], max_tokens: usize) -> Vec<Batch> {
    let mut batches = vec![Batch::default()];
    for ids in sequences {
        let full = batches.last().is_some_and(|last| {
            0 < last.n_seqs() && max_tokens < last.input_ids().len() + ids.len()
        });
        if full {
            batches.push(Batch::default());
        }
        if let Some(last) = batches.last_mut() {
            last.push(ids);
        }
    }
    batches
}

/// Logits with the number of their batch.
type Numbered = Vec<(usize, Vec<f32>)>;

/// Runs every batch once, each thread taking the next; the logits of each in order.
fn run_all(model: &Arc<Model>, batches: &[Batch], threads: usize) -> Result<Vec<Vec<f32>>, Exit> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut worker = model.worker();
        let mut done = Vec::new();
        loop {
            let idx = next.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(idx) else {
                return Ok(done);
            };
            let logits = worker
                .run(batch, &|| false)
                .map_err(|error| chain(&error))?;
            done.push((idx, logits.to_vec()));
        }
    };
    let results: Vec<Result<Numbered, String>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = running.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|result| result.unwrap_or_else(|_| Err("a worker panicked".to_owned())))
            .collect()
    });
    let mut all = Vec::with_capacity(batches.len());
    for result in results {
        all.extend(result.map_err(Exit::Environment)?);
    }
    all.sort_by_key(|(idx, _)| *idx);
    Ok(all.into_iter().map(|(_, logits)| logits).collect())
}

/// Milliseconds of one request alone, by its tokens.
#[derive(Default)]
struct Latency {
    best: Map<String, Value>,
    median: Map<String, Value>,
}

fn latency(model: &Arc<Model>, threads: usize) -> Result<Latency, Exit> {
    let team = Team::new(threads);
    let mut worker = model.worker();
    let mut latency = Latency::default();
    let mut random = Random(3);
    for n_tokens in LENGTHS {
        if model.info().max_tokens < n_tokens {
            continue;
        }
        let vocab = model.info().vocab_size as u64;
        let id = |_| u32::try_from(random.next() % vocab).unwrap_or_default();
        let ids: Vec<u32> = (0..n_tokens).map(id).collect();
        let mut batch = Batch::default();
        batch.push(&ids);
        let mut times = Vec::new();
        let started = Instant::now();
        while times.len() < 8 || started.elapsed() < SPAN {
            let one = Instant::now();
            let run = worker.run_on(&team, &batch, &|| false);
            run.map_err(|error| Exit::Environment(chain(&error)))?;
            times.push(one.elapsed().as_secs_f64() * 1000.0);
        }
        // The first ones warm caches and memory up.
        let mut times = times.split_off(3);
        times.sort_unstable_by(f64::total_cmp);
        latency.best.insert(n_tokens.to_string(), json!(times[0]));
        let median = times[times.len() / 2];
        latency.median.insert(n_tokens.to_string(), json!(median));
    }
    Ok(latency)
}

/// What the products and attention did, as a share of what these threads could do at most in the
/// model's precision; null where that is not known.
fn peak_fraction(model: &Model, sequences: &[Vec<u32>], seconds: f64, threads: usize) -> Value {
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let Route::Fast { isa } = model.info().route else {
        return Value::Null;
    };
    let (Some(done), Some(peak)) = (model.n_operations(&lengths), peak(isa)) else {
        return Value::Null;
    };
    let most = match model.info().precision {
        Precision::F32 => peak.f32,
        Precision::Bf16 => peak.bf16,
        Precision::Int8 => peak.int8,
    };
    if most <= 0.0 {
        return Value::Null;
    }
    json!(done / seconds / (most * threads as f64))
}

fn shapes(batches: &[Batch]) -> Value {
    let n_tokens: usize = batches.iter().map(|batch| batch.input_ids().len()).sum();
    let n_seqs: usize = batches.iter().map(Batch::n_seqs).sum();
    let n = batches.len() as f64;
    json!({
        "batches": batches.len(),
        "mean_tokens": n_tokens as f64 / n,
        "mean_sequences": n_seqs as f64 / n,
    })
}

/// The same batches in f32: how far logits lie apart, and how many answers change.
fn accuracy(
    args: &BenchArgs,
    batches: &[Batch],
    threads: usize,
    logits: &[Vec<f32>],
    report: &mut Map<String, Value>,
) -> Result<(), Exit> {
    let reference = args.model.load_as(Some(Precision::F32))?;
    let expected = run_all(&reference, batches, threads)?;
    let (mut largest, mut sum, mut n, mut flips) = (0.0_f32, 0.0_f64, 0_usize, 0_usize);
    let n_labels = reference.info().labels.len().max(1);
    let is_multi = reference.info().kind == Kind::MultiLabel;
    for (own, exact) in logits.iter().zip(&expected) {
        for (own, exact) in own.iter().zip(exact) {
            let apart = (own - exact).abs();
            largest = largest.max(apart);
            sum += f64::from(apart);
            n += 1;
            flips += usize::from(is_multi && (0.0 < *own) != (0.0 < *exact));
        }
        if !is_multi {
            let rows = own.chunks_exact(n_labels).zip(exact.chunks_exact(n_labels));
            flips += rows.filter(|(own, exact)| top(own) != top(exact)).count();
        }
    }
    report.insert("max_abs_logit_diff".to_owned(), json!(largest));
    report.insert(
        "mean_abs_logit_diff".to_owned(),
        json!(sum / n.max(1) as f64),
    );
    report.insert("logits".to_owned(), json!(n));
    report.insert("flips".to_owned(), json!(flips));
    Ok(())
}

fn top(row: &[f32]) -> Option<usize> {
    let all = row.iter().enumerate();
    all.max_by(|one, other| one.1.total_cmp(other.1))
        .map(|(idx, _)| idx)
}

fn print(report: &Value) {
    let number = |key: &str| report[key].as_f64().unwrap_or(f64::NAN);
    println!(
        "{} in {}, {}, {} threads",
        report["architecture"].as_str().unwrap_or_default(),
        report["precision"].as_str().unwrap_or_default(),
        report["kernels"].as_str().unwrap_or_default(),
        report["threads"]
    );
    println!(
        "{:.1} texts/s, {:.0} tokens/s, {:.0} % of the machine's peak",
        number("texts_per_s"),
        number("tokens_per_s"),
        100.0 * number("peak_fraction")
    );
    println!(
        "batches of {:.0} tokens and {:.1} sequences",
        report["batch"]["mean_tokens"].as_f64().unwrap_or(f64::NAN),
        report["batch"]["mean_sequences"]
            .as_f64()
            .unwrap_or(f64::NAN)
    );
    if let Some(latency) = report["latency_ms"].as_object() {
        println!("{:>8} {:>9} {:>9}", "tokens", "best ms", "median");
        for n_tokens in LENGTHS.map(|length| length.to_string()) {
            if let Some(best) = latency.get(&n_tokens).and_then(Value::as_f64) {
                let median = report["latency_median_ms"][&n_tokens].as_f64();
                println!(
                    "{n_tokens:>8} {best:>9.3} {:>9.3}",
                    median.unwrap_or(f64::NAN)
                );
            }
        }
    }
    if report["max_abs_logit_diff"].is_number() {
        println!(
            "against f32: at most {:.4} apart, {} of {} flip",
            number("max_abs_logit_diff"),
            report["flips"],
            report["logits"]
        );
    }
}
