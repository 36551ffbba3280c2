//! Patterns that match over the end of one text and the beginning of the next.

use crate::gate::Gate;
use portcullis_policy::Match;
use portcullis_protocol::{Chain, Part, PartKind};
use portcullis_text::{PartId, Span, Surface};
use std::ops::Range;

/// What stands between two texts that are put side by side: nothing that shows, or a space.
pub(super) const TOUCHING: [&str; 2] = ["\u{2060}", " "];

impl Gate {
    /// Where a pattern matches over two texts that stand one after the other: a word cut over a
    /// name and a content, over two members of an object, over a question and a begun answer.
    ///
    /// Such a match is put into the last of its texts. It cannot be replaced, since the texts are
    /// of different kinds: what would be redacted is blocked.
    pub(crate) fn find_across(
        &self,
        parts: &[Part],
        chains: &[Chain],
        surface: Surface,
    ) -> Vec<Match> {
        let found = chains.iter().flat_map(|chain| {
            let found = self.engine.find_across(surface, chain.text()).into_iter();
            found.filter_map(move |found| {
                let places = chain.locate(found.range);
                let (part, range) = over_an_end(parts, places)?;
                Some(Match {
                    id: found.id,
                    surface: part.surface,
                    span: Span {
                        part: part.id,
                        range,
                    },
                    view: found.view,
                    replaceable: false,
                })
            })
        });
        found.collect()
    }
}

/// The last of the texts that a match lies in, when there are several and none else sees it.
fn over_an_end(
    parts: &[Part],
    mut places: Vec<(PartId, Range<usize>)>,
) -> Option<(&Part, Range<usize>)> {
    let part = |id: PartId| parts.get(id.0 as usize);
    let seamed = |part: &Part| (part.kind == PartKind::Text).then_some((part.surface, part.choice));
    let all_seamed = places.windows(2).all(|pair| {
        let both = [part(pair[0].0), part(pair[1].0)].map(|part| part.and_then(seamed));
        both[0].is_some() && both[0] == both[1]
    });
    let (last, range) = places.pop().filter(|_| !all_seamed)?;
    Some((part(last)?, range))
}
