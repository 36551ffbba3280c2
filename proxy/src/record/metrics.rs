//! The metrics of `/metrics`, all derived from records. Names and labels are a promise (docs/metrics.md).
//!
//! Labels come from closed sets, never from anything a client or a model wrote.

use crate::record::{Outcome, Record};
use portcullis_classifiers::Class;
use portcullis_classifiers::batching::{BatchSeen, Observer, WorkerEvent};
use portcullis_text::Surface;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::time::Duration;

const LATENCY: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0,
];
const TOKENS: &[f64] = &[
    16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16_384.0,
];
const SEQUENCES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];

/// Everything `/metrics` shows.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    hot: Hot,
    requests: IntCounterVec,
    decisions: IntCounterVec,
    coverage: IntCounterVec,
    ttft_added: Histogram,
    stream_hold: Histogram,
    unscreened_bytes: IntCounter,
    infer: HistogramVec,
    batch_tokens: Histogram,
    batch_sequences: Histogram,
    queue: HistogramVec,
    workers: IntCounterVec,
    shed: IntCounterVec,
    failures: IntCounterVec,
    commands: IntCounterVec,
    labels: IntCounterVec,
    upstream: Histogram,
    upstream_errors: IntCounterVec,
    errors: IntCounterVec,
    records_lost: IntCounter,
    reloads: IntCounterVec,
    policy_info: IntGaugeVec,
    build_info: IntGaugeVec,
}

/// Children that nearly every exchange touches, looked up once.
#[derive(Debug)]
struct Hot {
    parse: Histogram,
    screen_prompt: Histogram,
    screen_completion: Histogram,
    total: Histogram,
    /// By surface.
    screened: [IntCounter; Surface::COUNT],
    hits: IntCounter,
    misses: IntCounter,
    headers: IntCounter,
}

impl Hot {
    fn of(
        latency: &HistogramVec,
        coverage: &IntCounterVec,
        cache: &IntCounterVec,
        labels: &IntCounterVec,
    ) -> Self {
        let stage = |name| latency.with_label_values(&[name]);
        let full = |surface: Surface| coverage.with_label_values(&[surface.name(), "full", ""]);
        Self {
            parse: stage("parse"),
            screen_prompt: stage("screen_prompt"),
            screen_completion: stage("screen_completion"),
            total: stage("total"),
            screened: Surface::ALL.map(full),
            hits: cache.with_label_values(&["hit"]),
            misses: cache.with_label_values(&["miss"]),
            headers: labels.with_label_values(&["header"]),
        }
    }
}

/// Registers what it makes; a name twice is a bug that start-up shows.
struct Maker(Registry);

impl Maker {
    fn add<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        made: prometheus::Result<C>,
    ) -> prometheus::Result<C> {
        let collector = made?;
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counters(&self, name: &str, help: &str, by: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(opts(name, help), by))
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::with_opts(opts(name, help)))
    }

    fn gauges(&self, name: &str, help: &str, by: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(opts(name, help), by))
    }

    fn histogram(&self, name: &str, help: &str, to: &[f64]) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(timed(name, help, to)))
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        by: &[&str],
        to: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        self.add(HistogramVec::new(timed(name, help, to), by))
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("portcullis")
}

fn timed(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec())
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// When two metrics share a name.
    #[expect(clippy::too_many_lines, reason = "a table of metrics")]
    pub fn new() -> prometheus::Result<Self> {
        let make = Maker(Registry::new());
        let coverage = make.counters(
            "coverage_total",
            "Parts of exchanges, by whether they were screened.",
            &["surface", "result", "reason"],
        )?;
        let added_latency = make.histograms(
            "added_latency_seconds",
            "Time that the gate added, by stage.",
            &["stage"],
            LATENCY,
        )?;
        let cache = make.counters(
            "cache_events_total",
            "Look-ups in the verdict cache.",
            &["result"],
        )?;
        let labels = make.counters("labels_total", "AI labels put on answers.", &["kind"])?;
        Ok(Self {
            hot: Hot::of(&added_latency, &coverage, &cache, &labels),
            requests: make.counters(
                "requests_total",
                "Exchanges, by what was done about them.",
                &["route", "dialect", "action"],
            )?,
            decisions: make.counters(
                "decisions_total",
                "Policy rows reached: the verdict, whether or not it was enforced.",
                &["surface", "category", "action", "mode"],
            )?,
            coverage,
            ttft_added: make.histogram(
                "ttft_added_seconds",
                "Streams: from the upstream's first text to the first text let go.",
                LATENCY,
            )?,
            stream_hold: make.histogram(
                "stream_hold_seconds",
                "Streams: the longest time that text was held, per stream.",
                LATENCY,
            )?,
            unscreened_bytes: make.counter(
                "stream_unscreened_bytes_total",
                "Bytes of stream text that left before they were screened.",
            )?,
            infer: make.histograms(
                "classifier_infer_seconds",
                "Time in a classifier, per exchange.",
                &["model", "device"],
                LATENCY,
            )?,
            batch_tokens: make.histogram(
                "classifier_batch_tokens",
                "Tokens of the encoder's batches.",
                TOKENS,
            )?,
            batch_sequences: make.histogram(
                "classifier_batch_sequences",
                "Sequences of the encoder's batches.",
                SEQUENCES,
            )?,
            queue: make.histograms(
                "classifier_queue_seconds",
                "How long a sequence waited for the encoder.",
                &["class"],
                LATENCY,
            )?,
            workers: make.counters(
                "classifier_workers_total",
                "What happened to the encoder's workers.",
                &["event"],
            )?,
            shed: make.counters(
                "classifier_shed_total",
                "Jobs that classifiers refused at the door.",
                &["reason"],
            )?,
            failures: make.counters(
                "classifier_failures_total",
                "Jobs that classifiers took and could not answer.",
                &["model", "result"],
            )?,
            commands: make.counters(
                "commands_total",
                "Chat commands answered.",
                &["command", "result"],
            )?,
            labels,
            upstream: make.histogram(
                "upstream_seconds",
                "Time waiting for the upstream.",
                SECONDS,
            )?,
            upstream_errors: make.counters(
                "upstream_errors_total",
                "Exchanges that an upstream failed.",
                &["reason"],
            )?,
            errors: make.counters(
                "errors_total",
                "Exchanges that ended in an error of the client or of the gate.",
                &["reason"],
            )?,
            records_lost: make.counter(
                "records_lost_total",
                "Decision records that the sink could not take; the metrics still count them.",
            )?,
            reloads: make.counters("policy_reloads_total", "Policies loaded.", &["result"])?,
            policy_info: make.gauges("policy_info", "The policy in force.", &["name", "digest"])?,
            build_info: make.gauges("build_info", "The running build.", &["version"])?,
            registry: make.0,
        })
    }

    /// Says which build runs under which policy, and shows the counters that should never move as 0.
    pub fn announce(&self, policy: &str, digest8: &str) {
        self.build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        self.policy_info
            .with_label_values(&[policy, digest8])
            .set(1);
        self.reloads.with_label_values(&["loaded"]).inc();
        for result in ["timed_out", "died", "non_finite"] {
            for model in ["linear", "encoder"] {
                self.failures.with_label_values(&[model, result]).inc_by(0);
            }
        }
        for reason in ["queue_full", "late"] {
            self.shed.with_label_values(&[reason]).inc_by(0);
        }
    }

    /// Counts a record.
    pub fn observe(&self, record: &Record) {
        let done = match (record.outcome, record.error) {
            (Outcome::Aborted, _) => "aborted",
            (_, Some(_)) => "error",
            (_, None) => record.enforced.name(),
        };
        self.requests
            .with_label_values(&[record.route, record.dialect, done])
            .inc();
        self.observe_decision(record);
        self.observe_classifiers(record);
        self.observe_times(record);
        self.observe_errors(record);
    }

    fn observe_decision(&self, record: &Record) {
        for row in &record.rows {
            let labels = [
                row.surface.name(),
                row.label.metric(),
                row.action.name(),
                record.mode.name(),
            ];
            self.decisions.with_label_values(&labels).inc();
        }
        for part in &record.receipt.parts {
            let result = match (part.gap, part.by.is_empty()) {
                (None, _) => "full",
                (Some(_), false) => "partial",
                (Some(_), true) => "none",
            };
            if result == "full" {
                self.hot.screened[part.surface.index()].inc();
                continue;
            }
            let labels = [part.surface.name(), result, part.gap.unwrap_or("")];
            self.coverage.with_label_values(&labels).inc();
        }
        for reason in &record.receipt.unscreened {
            self.coverage
                .with_label_values(&["other", "none", reason])
                .inc();
        }
        if let Some(command) = record.command {
            self.commands
                .with_label_values(&[command, "answered"])
                .inc();
        }
        for kind in &record.labels {
            match *kind {
                "header" => self.hot.headers.inc(),
                other => self.labels.with_label_values(&[other]).inc(),
            }
        }
        if record.unscreened_bytes > 0 {
            self.unscreened_bytes.inc_by(record.unscreened_bytes);
        }
    }

    fn observe_classifiers(&self, record: &Record) {
        let (hits, misses) = record.cache;
        self.hot.hits.inc_by(hits as u64);
        self.hot.misses.inc_by(misses as u64);
        // With an encoder the time of a screening is mostly its own, which its batches tell.
        if record.infer_us > 0 && record.classifiers.len() < 2 {
            let infer = self.infer.with_label_values(&["linear", "cpu"]);
            infer.observe(seconds(record.infer_us));
        }
        for (model, result) in &record.failures {
            if matches!(*result, "queue_full" | "late") {
                self.shed.with_label_values(&[result]).inc();
            }
            self.failures.with_label_values(&[model, result]).inc();
        }
    }

    fn observe_times(&self, record: &Record) {
        let times = &record.timings;
        let stages = [
            (&self.hot.parse, times.parse_us),
            (&self.hot.screen_prompt, times.screen_prompt_us),
            (&self.hot.screen_completion, times.screen_completion_us),
        ];
        for (stage, us) in stages {
            if us > 0 {
                stage.observe(seconds(us));
            }
        }
        if record.error.is_none() && !record.stream && times.upstream_us > 0 {
            let added = times.total_us.saturating_sub(times.upstream_us);
            self.hot.total.observe(seconds(added));
        }
        if times.upstream_us > 0 {
            self.upstream.observe(seconds(times.upstream_us));
        }
        if record.stream && times.ttft_added_us > 0 {
            self.ttft_added.observe(seconds(times.ttft_added_us));
            self.stream_hold.observe(seconds(times.hold_max_us));
        }
    }

    fn observe_errors(&self, record: &Record) {
        let Some(reason) = record.error else { return };
        let errors = if record.upstream_fault {
            &self.upstream_errors
        } else {
            &self.errors
        };
        errors.with_label_values(&[reason]).inc();
    }

    /// The counter of records that the sink could not take or could not write.
    pub(crate) fn records_lost(&self) -> IntCounter {
        self.records_lost.clone()
    }

    /// Counts a record that the sink could not take.
    pub fn record_lost(&self) {
        self.records_lost.inc();
    }

    /// The page of `/metrics`, in Prometheus's text format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn page(&self) -> prometheus::Result<Vec<u8>> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}

/// What the batching engine tells of itself. Jobs that it refuses or fails stand in the records of
/// their exchanges and are counted from there.
pub(crate) struct EngineMetrics {
    tokens: Histogram,
    sequences: Histogram,
    infer: Histogram,
    /// By class.
    queue: [Histogram; 3],
    workers: IntCounterVec,
}

impl EngineMetrics {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let class = |name| metrics.queue.with_label_values(&[name]);
        Self {
            tokens: metrics.batch_tokens.clone(),
            sequences: metrics.batch_sequences.clone(),
            infer: metrics.infer.with_label_values(&["encoder", "cpu"]),
            queue: [class("stream"), class("prompt"), class("bulk")],
            workers: metrics.workers.clone(),
        }
    }
}

impl Observer for EngineMetrics {
    fn batch(&self, batch: BatchSeen) {
        self.tokens.observe(batch.n_tokens as f64);
        self.sequences.observe(batch.n_sequences as f64);
        self.infer.observe(batch.infer.as_secs_f64());
    }

    fn queue_wait(&self, class: Class, queue_wait: Duration) {
        self.queue[class as usize].observe(queue_wait.as_secs_f64());
    }

    fn worker(&self, event: WorkerEvent) {
        self.workers.with_label_values(&[event.name()]).inc();
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of an exchange fit"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
