//! Guarding an answer while it runs: the upstream's events in, screened events out.
//!
//! This is the host of [`portcullis_policy::stream::Machine`], which decides what may leave when.
//! The host reads and splits bytes, has texts scored, keeps the events that are held, and writes
//! whatever may leave as few, large frames. It is polled by the connection that it answers, so a
//! client that leaves drops it, and with it the upstream's request and all checks in flight.

use crate::body::{BrokenOff, Encoding};
use crate::error::Error;
use crate::gate::Gate;
use crate::record::{Event, Outcome, micros};
use crate::reply::{answer_id, refusal_of};
use crate::screen::begun::Begun;
use crate::screen::channels::{Channels, hold_of, is_answer, key_of};
use crate::screen::source::Source;
use crate::screen::{Asker, note_closed, note_screening, prompt_of};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body::Frame;
use hyper::body::Incoming;
use portcullis_classifiers::cascade::{Closed, ScreenRequest, Screening};
use portcullis_classifiers::classifier::{Class, Segment, Unit};
use portcullis_config::{Action, FailureRule};
use portcullis_policy::stream::{
    Check, CheckId, CheckKind, DeltaIn, EventEdit, EventIn, Machine, Output, Stop, StreamConfig,
};
use portcullis_policy::{Evidence, RefusalText, Terminal};
use portcullis_protocol::sse::{self, Splitter};
use portcullis_protocol::{Exchange, LocalAnswer, StreamReader};
use portcullis_text::{Content, Detector, Label};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// A frame is written once this much may leave.
const FRAME: usize = 64 * 1024;

/// Room for text that is taken at once; no stream asks for the first of it.
const ROOM: u64 = 64 * 1024;

/// What a stream is guarded with.
#[derive(Debug)]
pub(crate) struct StreamPlan {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) asker: Asker,
    pub(crate) notice: Option<String>,
    pub(crate) encoding: Encoding,
}

type Answered = (CheckId, CheckKind, Result<Screening, Closed>);
type Asking = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// A running answer, guarded.
pub(crate) struct GuardedStream {
    gate: Arc<Gate>,
    event: Event,
    plan: StreamPlan,
    upstream: Option<Source>,
    splitter: Splitter,
    reader: StreamReader,
    machine: Machine,
    held: VecDeque<Held>,
    first_held: u64,
    held_bytes: u64,
    /// Bytes of text that the exchange's permit has room for.
    room: u64,
    /// What the answer is judged beside.
    prompt: Option<Content>,
    /// The answer that the request begins, until the model has gone on with it.
    begun: Option<Begun>,
    checks: FuturesUnordered<Asking>,
    channels: Channels,
    timer: Pin<Box<Sleep>>,
    /// The time of this turn: one reading of the clock serves it all.
    now: Instant,
    last_read: Instant,
    last_sent: Instant,
    first_text: Option<Instant>,
    /// Choices that have ended.
    finished: SmallVec<[u32; 1]>,
    out: BytesMut,
    over: bool,
}

struct Held {
    event: sse::Event,
    closes: SmallVec<[u32; 1]>,
}

impl fmt::Debug for GuardedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedStream")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl GuardedStream {
    pub(crate) fn new(gate: Arc<Gate>, incoming: Incoming, plan: StreamPlan, event: Event) -> Self {
        let rules = gate.config.stream;
        let config = StreamConfig {
            mode: rules.mode,
            // There is nothing to be saved by waiting for a tier that answers at once.
            pace: if gate.cascade.is_immediate() {
                Duration::ZERO
            } else {
                rules.pace
            },
            ..StreamConfig::default()
        };
        let max_event = usize::try_from(gate.config.limits.event).unwrap_or(usize::MAX);
        let now = now();
        Self {
            upstream: Some(Source::new(incoming, plan.encoding)),
            splitter: Splitter::new(max_event),
            reader: plan.exchange.dialect.stream(&plan.exchange),
            machine: Machine::new(Arc::clone(&gate.engine), config),
            held: VecDeque::new(),
            first_held: 0,
            held_bytes: 0,
            room: ROOM,
            prompt: prompt_of(&plan.exchange),
            begun: Begun::of(&plan.exchange),
            checks: FuturesUnordered::new(),
            channels: Channels::default(),
            timer: Box::pin(tokio::time::sleep(gate.config.timeouts.idle)),
            now,
            last_read: now,
            last_sent: now,
            first_text: None,
            finished: SmallVec::new(),
            out: BytesMut::new(),
            over: false,
            gate,
            event,
            plan,
        }
    }

    /// The next frame of the response's body. After a panic that is an error event: what a
    /// client gets must not look whole, nor cut by the network.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let advanced = catch_unwind(AssertUnwindSafe(|| self.advance(context)));
        advanced.unwrap_or_else(|_panic| {
            tracing::error!(request = %self.event.request_id, "a stream's guard panicked");
            if !self.over {
                self.fault(&Error::Internal);
            }
            Poll::Ready(Some(Ok(Frame::data(self.out.split().freeze()))))
        })
    }

    fn advance(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.now = now();
        while !self.over && self.out.len() < FRAME {
            if self.work(context) {
                continue;
            }
            // Nothing more is at hand: the tail is checked with all that has come by now.
            self.machine.tick(self.now);
            if !self.act(context) && !self.keep_time(context) {
                break;
            }
        }
        if !self.out.is_empty() {
            self.last_sent = self.now;
            return Poll::Ready(Some(Ok(Frame::data(self.out.split().freeze()))));
        }
        if self.over {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }

    /// Reads, takes verdicts and does what the machine asks for. Whether there was anything.
    fn work(&mut self, context: &mut Context<'_>) -> bool {
        self.pull(context) | self.take_answers(context) | self.act(context)
    }

    /// Reads what the upstream has ready. Whether there was anything.
    fn pull(&mut self, context: &mut Context<'_>) -> bool {
        let Some(upstream) = &mut self.upstream else {
            return false;
        };
        match upstream.poll_bytes(context) {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(bytes))) => {
                self.last_read = self.now;
                self.take_bytes(bytes);
                true
            }
            Poll::Ready(Some(Err(()))) => {
                self.fault(&Error::BadAnswer("the stream broke off".into()));
                true
            }
            Poll::Ready(None) => {
                self.take_end();
                true
            }
        }
    }

    fn take_bytes(&mut self, bytes: Bytes) {
        let events = match self.splitter.push(bytes) {
            Ok(events) => events,
            Err(error) => return self.fault(&Error::BadAnswer(error.to_string())),
        };
        for event in events {
            self.take_event(event);
            if self.over || self.upstream.is_none() {
                return;
            }
        }
        if let Err(error) = self.splitter.check() {
            return self.fault(&Error::BadAnswer(error.to_string()));
        }
        if self.held_bytes > self.gate.config.limits.answer {
            return self.fault(&Error::BadAnswer(
                "more of the stream is held than may be".into(),
            ));
        }
        self.make_room();
    }

    /// What is held counts towards what the gate takes on at once.
    fn make_room(&mut self) {
        let held = self.held_bytes + self.machine.stats().bytes_in;
        if held <= self.room {
            return;
        }
        let more = (held - self.room).next_multiple_of(ROOM);
        self.room += more;
        let permit = self.event.permit.as_mut();
        if permit.is_some_and(|permit| permit.grow(more).is_err()) {
            self.fault(&Error::Overloaded);
        }
    }

    fn take_event(&mut self, event: sse::Event) {
        let read = match self.reader.read(&event) {
            Ok(read) => read,
            Err(error) => return self.fault(&Error::BadAnswer(error.to_string())),
        };
        let deltas: SmallVec<[DeltaIn<'_>; 2]> = read
            .deltas
            .iter()
            .map(|delta| DeltaIn {
                key: key_of(delta.choice, delta.channel),
                surface: delta.channel.surface(),
                text: &delta.text,
                hold: hold_of(delta.channel),
                complete: delta.complete,
            })
            .collect();
        let goes_on = |delta: &DeltaIn<'_>| {
            !delta.text.is_empty()
                && is_answer(delta.key)
                && self.finished.contains(&delta.key.choice)
        };
        if deltas.iter().any(goes_on) {
            // Clients differ in what they do with it, and a word may be cut in two by the end.
            return self.fault(&Error::BadAnswer("a choice goes on after its end".into()));
        }
        self.finished.extend_from_slice(&read.finishes);
        let now = self.now;
        if !deltas.is_empty() && self.first_text.is_none() {
            self.first_text = Some(now);
        }
        for reason in &read.unscreened {
            self.event.receipt.gap(reason.name());
        }
        for delta in &deltas {
            self.channels.note(delta);
        }
        if let Some(stop) = self.over_the_beginning(&deltas) {
            return self.block(&stop);
        }
        self.held_bytes += event.raw().len() as u64;
        self.machine.event(
            now,
            &EventIn {
                deltas: &deltas,
                closes: &read.finishes,
            },
        );
        self.held.push_back(Held {
            event,
            closes: read.finishes,
        });
        if read.error {
            // The upstream's own error event; it is passed on and nothing may follow it.
            self.event.error = Some("stream_error");
            self.event.upstream_fault = true;
        }
        if read.done || read.error {
            self.upstream = None;
            self.machine.end(now);
        }
    }

    /// What stops the stream where a pattern matches over the answer that the request began and what
    /// the model went on with.
    fn over_the_beginning(&mut self, deltas: &[DeltaIn<'_>]) -> Option<Stop> {
        let matches = self.begun.as_mut()?.go_on(&self.gate.engine, deltas);
        let decision = self.gate.engine.decide(&Evidence {
            windows: &[],
            matches: &matches,
        });
        if decision.action == Action::Allow {
            return None;
        }
        self.event
            .note_decision(decision.action, decision.enforced, &decision.rows);
        (decision.terminal != Terminal::Forward).then(|| Stop {
            decision: Box::new(decision),
            text_released: true,
        })
    }

    fn take_end(&mut self) {
        self.upstream = None;
        let last = self.splitter.finish();
        let is_whole = last.is_ok();
        if let Ok(Some(event)) = last {
            self.take_event(event);
            if self.over {
                return;
            }
        }
        if !is_whole || !self.reader.is_complete() {
            self.fault(&Error::BadAnswer(
                "the stream ended before its proper end".into(),
            ));
            return;
        }
        self.machine.end(self.now);
    }

    /// Takes verdicts that have come. Whether any had.
    fn take_answers(&mut self, context: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(answered)) = self.checks.poll_next_unpin(context) {
            self.take_verdict(answered);
            any = true;
        }
        any
    }

    fn take_verdict(&mut self, (id, kind, result): Answered) {
        let now = self.now;
        match result {
            Err(closed) => {
                // The error itself is made when the machine says that it stops.
                drop(note_closed(&mut self.event, &closed));
                self.machine.verdict(now, id, Err(FailureRule::Closed));
            }
            Ok(mut screening) => {
                let gap = screening.coverage.iter().find_map(|part| part.gap);
                let open = gap.is_some() && screening.windows.is_empty();
                if let Some(failure) = gap {
                    self.channels.note_gap(failure.name());
                }
                let windows = std::mem::take(&mut screening.windows);
                note_screening(&mut self.event, &screening);
                if kind != CheckKind::Tail {
                    self.event.note_windows(&windows);
                }
                let verdict = if open {
                    Err(FailureRule::Open)
                } else {
                    Ok(windows.as_slice())
                };
                self.machine.verdict(now, id, verdict);
            }
        }
    }

    /// Does what the machine asks for. Whether it asked for anything.
    fn act(&mut self, context: &mut Context<'_>) -> bool {
        let mut any = false;
        while !self.over {
            let Some(output) = self.machine.poll() else {
                break;
            };
            any = true;
            match output {
                Output::Check(check) => self.ask(check, context),
                Output::Release {
                    events,
                    edits,
                    held,
                } => self.release(events, &edits, held),
                Output::Disclaim { choice, texts } => {
                    for text in texts {
                        self.insert(choice, &text);
                    }
                }
                Output::Block(stop) => self.block(&stop),
                Output::Redirect(stop) => self.redirect(&stop),
                Output::Fault(_) => self.unscreened(),
                Output::Finished => self.finish(Outcome::Completed),
            }
        }
        any
    }

    /// Has a text scored. Cheap classifiers answer at once.
    fn ask(&mut self, check: Check, context: &mut Context<'_>) {
        let segment = Segment {
            part: check.part,
            surface: check.surface,
            start: check.range.start,
            content: check.text,
        };
        let (unit, class, asker) = (Unit::StreamWindow, Class::Stream, self.plan.asker);
        let request = ScreenRequest {
            context: self.prompt.clone(),
            ..self.gate.screen_request(vec![segment], unit, class, asker)
        };
        let gate = Arc::clone(&self.gate);
        let (id, kind) = (check.id, check.kind);
        let mut asking: Asking =
            Box::pin(async move { (id, kind, gate.cascade.screen(request).await) });
        match asking.as_mut().poll(context) {
            Poll::Ready(answered) => self.take_verdict(answered),
            Poll::Pending => self.checks.push(asking),
        }
    }

    fn release(&mut self, events: Range<u64>, edits: &[EventEdit], held: Duration) {
        let timings = &mut self.event.timings;
        timings.hold_max_us = timings.hold_max_us.max(micros(held));
        if let Some(first_text) = self.first_text.filter(|_| timings.ttft_added_us == 0) {
            timings.ttft_added_us = micros(now().duration_since(first_text)).max(1);
        }
        for number in events {
            let Some(held) = self.held.pop_front() else {
                return;
            };
            debug_assert_eq!(number, self.first_held);
            self.first_held += 1;
            self.held_bytes -= held.event.raw().len() as u64;
            self.insert_notice(&held.closes);
            let new_texts: Vec<(usize, String)> = edits
                .iter()
                .filter(|edit| edit.event == number)
                .map(|edit| (edit.delta, edit.text.expose().to_owned()))
                .collect();
            if new_texts.is_empty() {
                self.out.extend_from_slice(held.event.raw());
            } else {
                self.out
                    .extend_from_slice(&self.reader.rewrite(&held.event, &new_texts));
            }
            self.reader.sent(1);
        }
    }

    fn insert_notice(&mut self, closing: &[u32]) {
        let Some(notice) = self.plan.notice.clone() else {
            return;
        };
        for choice in closing {
            if self.insert(*choice, &notice) {
                self.event.labels.push("notice");
            }
        }
    }

    /// Adds text of ours to a choice, where that is allowed. Whether it was.
    fn insert(&mut self, choice: u32, text: &str) -> bool {
        let Some(bytes) = self.reader.insert_text(choice, text) else {
            return false;
        };
        self.out.extend_from_slice(&bytes);
        true
    }

    fn block(&mut self, stop: &Stop) {
        match &stop.decision.terminal {
            Terminal::Block(refusal) => self.refuse(refusal),
            Terminal::Redirect(_) | Terminal::Forward => self.redirect(stop),
        }
    }

    fn refuse(&mut self, refusal: &RefusalText) {
        let exchange = &self.plan.exchange;
        let id = answer_id(exchange.dialect, &self.event);
        let rules = self.gate.refusal_rules(exchange.dialect);
        let mut refusal = refusal_of(refusal, rules, exchange, &id, &self.event);
        refusal.stream = true;
        let closing = self.reader.refuse(&refusal);
        self.out.extend_from_slice(&closing);
        self.finish(Outcome::Completed);
    }

    fn redirect(&mut self, stop: &Stop) {
        let Terminal::Redirect(text) = &stop.decision.terminal else {
            return self.unscreened();
        };
        if stop.text_released {
            let label = stop.decision.deciding().map(|row| row.label);
            let label = label.unwrap_or(Label::Category(portcullis_text::Category::Unsafe));
            return self.refuse(&RefusalText {
                text: text.clone(),
                label,
                cite: None,
            });
        }
        let exchange = &self.plan.exchange;
        let answer = exchange.dialect.answer(&LocalAnswer {
            text,
            model: exchange.model.as_deref().unwrap_or_default(),
            id: &answer_id(exchange.dialect, &self.event),
            created: self.event.time_ms / 1000,
            stream: true,
            include_usage: exchange.include_usage,
            n_choices: exchange.n_choices,
        });
        self.out.extend_from_slice(&answer.body);
        self.finish(Outcome::Completed);
    }

    /// A classifier failed and its rule is `closed`.
    fn unscreened(&mut self) {
        let failed = Error::Unscreened {
            detector: Detector::Linear,
            failure: portcullis_classifiers::classifier::Failure::Died,
        };
        self.fault(&failed);
    }

    /// Ends the stream with an error event: never as if it were whole.
    fn fault(&mut self, error: &Error) {
        self.event.error = Some(error.reason());
        self.event.upstream_fault = error.source_of_fault() == crate::error::Source::Upstream;
        let closing = self.reader.fault(&error.to_string());
        self.out.extend_from_slice(&closing);
        self.finish(Outcome::Failed);
    }

    fn finish(&mut self, outcome: Outcome) {
        self.over = true;
        self.upstream = None;
        self.checks.clear();
        self.held.clear();
        let failed = self.event.error.is_some();
        self.event
            .finish(if failed { Outcome::Failed } else { outcome });
    }

    /// Looks at the clock: the machine's pace, the upstream's silence, our own. Whether it struck.
    fn keep_time(&mut self, context: &mut Context<'_>) -> bool {
        let now = self.now;
        let pace = self.machine.next_wake();
        if pace.is_some_and(|pace| pace <= now) {
            self.machine.tick(now);
            return true;
        }
        let silent = self
            .upstream
            .as_ref()
            .map(|_| self.last_read + self.gate.config.timeouts.idle);
        if silent.is_some_and(|silent| silent <= now) {
            self.fault(&Error::UpstreamTimeout);
            return true;
        }
        let holds = !self.held.is_empty();
        let quiet = holds.then(|| self.last_sent + self.gate.config.stream.keep_alive);
        if quiet.is_some_and(|quiet| quiet <= now) {
            self.last_sent = now;
            self.out.extend_from_slice(b": keep-alive\n\n");
            return true;
        }
        let Some(next) = [pace, silent, quiet].into_iter().flatten().min() else {
            return false;
        };
        self.timer.as_mut().reset(next.into());
        self.timer.as_mut().poll(context).is_ready()
    }
}

impl Drop for GuardedStream {
    /// The record takes over what the machine counted, however the stream ended.
    fn drop(&mut self) {
        let stats = self.machine.stats();
        let decision = self.machine.decision();
        self.event
            .note_decision(decision.action, decision.enforced, &decision.rows);
        self.event.unscreened_bytes = stats.bytes_unscreened;
        let by = self.gate.detectors();
        self.event.receipt.parts.extend(self.channels.receipts(&by));
    }
}
