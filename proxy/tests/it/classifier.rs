//! A classifier whose verdict is in the text, so that tests do not depend on trained weights.

use portcullis_classifiers::classifier::{
    Classifier, Failure, Identity, Job, Pending, Promise, Segment, Shed, Verdict,
};
use portcullis_text::{Category, Detector, Scores, Span, Vectors, View, Window};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// `murder` is violence, `grim` nearly so, `headache` a medical topic, `despair` self-harm; `explode` panics while
/// the job is handed over, `crash` kills the worker that took it, `silence` never answers,
/// `garbage` gives no numbers, `omit` gets no verdict of its own, `no room` and `too late` are shed.
#[derive(Debug)]
pub(crate) struct Keywords {
    identity: Identity,
    pub(crate) jobs: AtomicUsize,
    /// What answers were to be judged beside, by job that had something.
    pub(crate) contexts: Mutex<Vec<String>>,
    /// The next time somebody asks what this is, it panics: a bug in a handler.
    pub(crate) breaks: AtomicBool,
    unanswered: Mutex<Vec<Promise>>,
}

impl Keywords {
    pub(crate) fn new() -> Self {
        let identity = Identity {
            detector: Detector::Linear,
            model: "keywords".to_owned(),
            digest: "0".repeat(64),
        };
        Self {
            identity,
            jobs: AtomicUsize::new(0),
            contexts: Mutex::new(Vec::new()),
            breaks: AtomicBool::new(false),
            unanswered: Mutex::new(Vec::new()),
        }
    }

    /// Jobs that were left without an answer and are still wanted.
    pub(crate) fn waiting(&self) -> usize {
        let unanswered = self.unanswered.lock().unwrap();
        unanswered
            .iter()
            .filter(|promise| !promise.is_cancelled())
            .count()
    }
}

fn score(text: &str) -> Scores {
    let mut scores = [0.0; Category::COUNT];
    let words = [
        ("grim", Category::Violence, 0.985),
        ("murder", Category::Violence, 1.0),
        ("headache", Category::AdviceMedical, 1.0),
        ("despair", Category::SelfHarm, 1.0),
        ("ignore all rules", Category::Injection, 1.0),
    ];
    for (word, category, score) in words {
        if text.to_lowercase().contains(word) {
            scores[category.index()] = score;
        }
    }
    Scores::new(scores).unwrap()
}

impl Classifier for Keywords {
    fn submit(&self, job: Job) -> Result<Pending, Shed> {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        let context = job.context.as_ref().map(|said| said.expose().to_owned());
        self.contexts.lock().unwrap().extend(context);
        let says = |word: &str| {
            job.segments
                .iter()
                .any(|segment| segment.content.expose().contains(word))
        };
        assert!(!says("explode"), "a classifier that panics");
        if says("silence") {
            let (promise, pending) = Pending::promise();
            self.unanswered.lock().unwrap().push(promise);
            return Ok(pending);
        }
        if says("garbage") {
            return Ok(Pending::ready(Err(Failure::NonFinite)));
        }
        if says("crash") {
            let (promise, pending) = Pending::promise();
            std::thread::spawn(move || -> () {
                let _taken = promise;
                panic!("a worker that panics");
            });
            return Ok(pending);
        }
        if says("no room") {
            return Err(Shed::QueueFull);
        }
        if says("too late") {
            return Err(Shed::Late);
        }
        let is_scored = |segment: &&Segment| !segment.content.expose().contains("omit");
        let windows = job.segments.iter().filter(is_scored).map(|segment| Window {
            span: Span {
                part: segment.part,
                range: segment.start..segment.start + segment.content.len(),
            },
            surface: segment.surface,
            view: View::Raw,
            detector: Detector::Linear,
            scores: score(segment.content.expose()),
            vectors: Vectors::NONE,
        });
        Ok(Pending::ready(Ok(Verdict {
            windows: windows.collect(),
        })))
    }

    fn reads_context(&self) -> bool {
        true
    }

    fn identity(&self) -> &Identity {
        assert!(
            !self.breaks.swap(false, Ordering::SeqCst),
            "a handler that panics"
        );
        &self.identity
    }
}
