//! Judging single texts without a server: what `classify`, `policy test` and `/v1/guard/check` share.

use portcullis_classifiers::{Cascade, Closed, ScreenRequest, Segment};
use portcullis_policy::{Decision, Engine, Evidence, Explanation, Match};
use portcullis_text::{Content, PartId, Scores, Surface, Window};
use std::time::{Duration, Instant};

/// How long one text may take.
const WITHIN: Duration = Duration::from_secs(60);

/// What detectors saw in one text.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    /// Scored windows.
    pub(crate) windows: Vec<Window>,
    /// Pattern matches.
    pub(crate) matches: Vec<Match>,
}

impl Sight {
    /// What the policy says about it.
    #[must_use]
    pub(crate) fn decide(&self, engine: &Engine) -> Decision {
        engine.decide(&self.evidence())
    }

    /// Every row of the policy beside what it was compared with.
    #[must_use]
    pub(crate) fn explain(&self, engine: &Engine) -> Explanation {
        engine.explain(&self.evidence())
    }

    /// The largest score per category.
    #[must_use]
    pub(crate) fn scores(&self) -> Scores {
        self.windows
            .iter()
            .fold(Scores::ZERO, |peak, window| peak.max(&window.scores))
    }

    const fn evidence(&self) -> Evidence<'_> {
        Evidence {
            windows: self.windows.as_slice(),
            matches: self.matches.as_slice(),
        }
    }
}

/// Looks at one text with patterns and every classifier; an answer beside its prompt.
///
/// # Errors
/// [`Closed`] by the first classifier that failed.
pub(crate) async fn look(
    cascade: &Cascade,
    engine: &Engine,
    surface: Surface,
    text: &str,
    context: Option<&str>,
) -> Result<Sight, Closed> {
    let part = PartId(0);
    let segment = Segment {
        part,
        surface,
        start: 0,
        content: Content::from(text),
    };
    let request = ScreenRequest::offline(
        vec![segment],
        context.map(Content::from),
        Instant::now() + WITHIN,
    );
    let windows = cascade.screen(request).await?.windows;
    let matches = engine.find_patterns(part, surface, text);
    Ok(Sight { windows, matches })
}
