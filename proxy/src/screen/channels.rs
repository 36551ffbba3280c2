//! The channels of a stream: their keys in the machine, and what the receipt says of them.

use crate::record::PartReceipt;
use portcullis_policy::stream::{ChannelKey, DeltaIn, Hold};
use portcullis_protocol::Channel;
use portcullis_text::{Detector, Surface};
use smallvec::SmallVec;

/// What came on each channel, in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Channels(Vec<Came>);

#[derive(Debug)]
struct Came {
    key: ChannelKey,
    surface: Surface,
    bytes: usize,
    gap: Option<&'static str>,
}

impl Channels {
    /// Counts a piece of text.
    pub(crate) fn note(&mut self, delta: &DeltaIn<'_>) {
        match self.0.iter_mut().find(|known| known.key == delta.key) {
            Some(channel) => channel.bytes += delta.text.len(),
            None => self.0.push(Came {
                key: delta.key,
                surface: delta.surface,
                bytes: delta.text.len(),
                gap: None,
            }),
        }
    }

    /// A classifier failed somewhere in the stream: no channel counts as wholly screened.
    pub(crate) fn note_gap(&mut self, reason: &'static str) {
        for channel in &mut self.0 {
            channel.gap = Some(reason);
        }
    }

    /// One entry per channel, screened by these detectors.
    pub(crate) fn receipts(&self, by: &[Detector]) -> impl Iterator<Item = PartReceipt> {
        self.0
            .iter()
            .zip(0..)
            .map(move |(channel, part)| PartReceipt {
                surface: channel.surface,
                part,
                choice: Some(channel.key.choice),
                bytes: channel.bytes,
                by: SmallVec::from_slice(by),
                gap: channel.gap,
            })
    }
}

/// First key of what stands beside an answer.
const BESIDE: u32 = 0x2_0000;

/// The machine's key of a channel.
pub(crate) fn key_of(choice: u32, channel: Channel) -> ChannelKey {
    let channel = match channel {
        Channel::Text => 0,
        Channel::Refusal => 1,
        Channel::Reasoning => 2,
        Channel::ToolCall(idx) => 0x1_0000 + (idx & 0xffff),
        Channel::Other(number) => BESIDE + u32::from(number),
    };
    ChannelKey { choice, channel }
}

/// Whether a channel is part of the answer itself and not of what stands beside it.
pub(crate) const fn is_answer(key: ChannelKey) -> bool {
    key.channel < BESIDE
}

/// Tool calls are held until they are complete: a client may act on them.
pub(crate) const fn hold_of(channel: Channel) -> Hold {
    match channel {
        Channel::ToolCall(_) => Hold::UntilComplete,
        _ => Hold::UntilScreened,
    }
}
