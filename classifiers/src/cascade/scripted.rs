//! A classifier that does as it is told, for tests.

use crate::classifier::{
    Classifier, Failure, Identity, Job, Pending, Promise, Segment, Shed, Verdict,
};
use portcullis_text::{
    Category, CategorySet, Detector, Scores, Span, Vector, Vectors, View, Window,
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// What a scripted tier does with a job.
#[derive(Debug)]
pub(super) enum Act {
    Score(f32),
    ScoreByLength,
    ScoreLater,
    Shed(Shed),
    Fail(Failure),
    Panic,
    Hang,
    /// Scores all segments but the last.
    Forget,
    /// Scores bytes that the segment does not have.
    Stray,
}

#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) identity: Identity,
    pub(super) counts_lower: CategorySet,
    pub(super) reads_context: bool,
    pub(super) acts: Mutex<VecDeque<Act>>,
    pub(super) jobs: Mutex<Vec<Job>>,
    pub(super) promises: Mutex<Vec<Promise>>,
}

impl Scripted {
    pub(super) fn new(detector: Detector, acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self::of(detector, acts))
    }

    pub(super) fn of(detector: Detector, acts: impl IntoIterator<Item = Act>) -> Self {
        let (model, digest) = (
            detector.name().to_owned(),
            format!("{}-digest", detector.name()),
        );
        Self {
            identity: Identity {
                detector,
                model,
                digest,
            },
            counts_lower: CategorySet::EMPTY,
            reads_context: true,
            acts: Mutex::new(acts.into_iter().collect()),
            jobs: Mutex::default(),
            promises: Mutex::default(),
        }
    }

    /// An encoder that counts what the tiers below say, but of one topic.
    pub(super) fn counting(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        let encoder = Self::of(Detector::Encoder, acts);
        let mut counts_lower = CategorySet::EMPTY;
        for category in Category::ALL {
            if category != Category::AdviceLegal {
                counts_lower.insert(category);
            }
        }
        Arc::new(Self {
            counts_lower,
            ..encoder
        })
    }

    pub(super) fn linear(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Self::new(Detector::Linear, acts)
    }

    pub(super) fn encoder(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Self::new(Detector::Encoder, acts)
    }

    /// How many texts each job had.
    pub(super) fn asked(&self) -> Vec<usize> {
        self.jobs
            .lock()
            .unwrap()
            .iter()
            .map(|job| job.segments.len())
            .collect()
    }
}

impl Classifier for Scripted {
    fn submit(&self, job: Job) -> Result<Pending, Shed> {
        let act = self
            .acts
            .lock()
            .unwrap()
            .pop_front()
            .expect("asked more often than scripted");
        self.jobs.lock().unwrap().push(job.clone());
        let mut windows: Vec<_> = job
            .segments
            .iter()
            .map(|segment| whole(segment, 0.5))
            .collect();
        match act {
            Act::Score(score) => {
                let windows = job
                    .segments
                    .iter()
                    .flat_map(|segment| halves(segment, score));
                Ok(Pending::ready(Ok(Verdict {
                    windows: windows.collect(),
                })))
            }
            Act::ScoreByLength => {
                let score = |segment: &Segment| {
                    f32::from(u8::try_from(segment.content.len()).unwrap()) / 255.0
                };
                let windows = job.segments.iter().flat_map(|one| halves(one, score(one)));
                Ok(Pending::ready(Ok(Verdict {
                    windows: windows.collect(),
                })))
            }
            Act::ScoreLater => {
                let (promise, pending) = Pending::promise();
                tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    promise.keep(Ok(Verdict { windows }));
                });
                Ok(pending)
            }
            Act::Shed(shed) => Err(shed),
            Act::Fail(failure) => Ok(Pending::ready(Err(failure))),
            Act::Panic => panic!("scripted"),
            Act::Hang => {
                let (promise, pending) = Pending::promise();
                self.promises.lock().unwrap().push(promise);
                Ok(pending)
            }
            Act::Forget => {
                windows.pop();
                Ok(Pending::ready(Ok(Verdict { windows })))
            }
            Act::Stray => {
                windows[0].span.range.end += 1;
                Ok(Pending::ready(Ok(Verdict { windows })))
            }
        }
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn counts_lower(&self) -> CategorySet {
        self.counts_lower
    }

    fn reads_context(&self) -> bool {
        self.reads_context
    }
}

pub(super) fn scores(score: f32) -> Scores {
    Scores::new([score; Category::COUNT]).unwrap()
}

pub(super) fn window(segment: &Segment, range: std::ops::Range<usize>, score: f32) -> Window {
    Window {
        span: Span {
            part: segment.part,
            range,
        },
        surface: segment.surface,
        view: View::Raw,
        detector: Detector::Linear,
        scores: scores(score),
        vectors: Vectors::NONE.with(Vector::Logic),
    }
}

pub(super) fn whole(segment: &Segment, score: f32) -> Window {
    window(
        segment,
        segment.start..segment.start + segment.content.len(),
        score,
    )
}

pub(super) fn halves(segment: &Segment, score: f32) -> [Window; 2] {
    let (start, end) = (segment.start, segment.start + segment.content.len());
    let middle = usize::midpoint(start, end);
    [
        window(segment, start..middle, score),
        window(segment, middle..end, score),
    ]
}
