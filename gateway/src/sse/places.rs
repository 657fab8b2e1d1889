//! What a connection reads: a topic in each of its places, how far, and what of it comes next.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use promcast_proto::code::GapReason;
use promcast_proto::cursor::Cursor;
use promcast_proto::tick::Tick;
use promcast_proto::update::Failure;
use promcast_runtime::clock::Clock;

use super::outbox::Outbox;
use super::{Format, Frame, Schema, Span, event};
use crate::backfill::Backfill;
use crate::connections::{Joined, Seen};
use crate::hub::{Feed, Gap, Next, Now, Resume, Signal};
use crate::metrics::{Delivery, Metrics, Sent};

/// The topics of one connection.
pub(super) struct Places {
    places: Vec<Option<Place>>,
    /// Places that may have something to read, one bit each.
    raised: u32,
    /// Places that wait for history, likewise.
    fetching: u32,
    format: Format,
    /// Whether the client wants to know which span sent an update.
    traced: bool,
    backfill: Option<(Backfill, Duration)>,
    signal: Arc<Signal>,
    clock: Clock,
    metrics: Metrics,
    /// Updates that were read so far.
    read: u32,
    /// Of the last event, until somebody asks.
    delivered: Option<Delivery>,
}

/// One topic of a connection.
struct Place {
    feed: Feed,
    /// The last tick that was sent, or told as lost.
    last: Option<Tick>,
    seen: Seen,
    /// When the client joined. What came due before says nothing of how late things are.
    since: Tick,
    /// The schema that the client has.
    schema: Option<Arc<Schema>>,
    history: Option<Box<History>>,
}

/// History that is on its way. What comes after it waits.
struct History {
    from: Tick,
    to: Tick,
    /// What is told where it cannot be had, if it would stand in place of a gap.
    gap: Option<Gap>,
    fetch: Pin<Box<dyn Future<Output = Result<Arc<Span>, Failure>> + Send>>,
}

impl Places {
    /// So many places, with what is in them at first.
    pub(super) fn new(
        places: usize,
        joined: Vec<Joined>,
        (format, traced): (Format, bool),
        backfill: Option<(Backfill, Duration)>,
        signal: Arc<Signal>,
        (clock, metrics): (Clock, Metrics),
    ) -> Self {
        let places = std::iter::repeat_with(|| None).take(places).collect();
        let mut new = Self {
            places,
            raised: 0,
            fetching: 0,
            format,
            traced,
            backfill,
            signal,
            clock,
            metrics,
            read: 0,
            delivered: None,
        };
        for joined in joined {
            new.join(joined);
        }
        new
    }

    /// What is read otherwise from now on.
    pub(super) fn change(&mut self, left: &[u8], joined: Vec<Joined>) {
        for place in left {
            if let Some(slot) = self.places.get_mut(usize::from(*place)) {
                *slot = None;
            }
            self.fetching &= !bit(*place);
        }
        for joined in joined {
            self.join(joined);
        }
    }

    fn join(&mut self, joined: Joined) {
        let Joined { place, feed, after, resume, seen } = joined;
        let index = usize::from(place);
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        let mut new = Place { feed, last: after, seen, since: self.clock.now(), schema: None, history: None };
        if resume == Resume::Live
            && let Some((backfill, depth)) = &self.backfill
        {
            let to = new.feed.read_up_to();
            new.history = History::of(backfill, &new.feed, furthest(&new.feed, *depth, to), to);
            self.fetching |= if new.history.is_some() { bit(place) } else { 0 };
        }
        if let Some(slot) = self.places.get_mut(index) {
            *slot = Some(new);
        }
        self.raised |= bit(place);
    }

    /// Reads a word of each place in memory that an event of the first place reads. What it is means nothing.
    pub(super) fn look(&self) -> u64 {
        let Some(Some(place)) = self.places.first() else { return 0 };
        let words = [place.since, place.feed.read_up_to(), place.seen.last()];
        words.iter().fold(u64::from(self.read), |sum, word| sum.wrapping_add(word.millis().unsigned_abs()))
    }

    /// How far each place has been read, as the client sends it back.
    pub(super) fn cursor(&self) -> Option<String> {
        Cursor::new(self.places.iter().map(|place| place.as_ref().and_then(|place| place.last))).encode()
    }

    /// What the last event delivered, once.
    pub(super) fn take_delivered(&mut self) -> Option<Delivery> {
        self.delivered.take()
    }

    /// These may have something to read.
    pub(super) fn raise(&mut self, places: u32) {
        self.raised |= places;
    }

    /// Whether there is nothing to read, and nobody said that there is something else.
    pub(super) fn is_quiet(&self) -> bool {
        self.raised | self.fetching == 0 && self.signal.is_quiet()
    }

    /// Queues one event, if there is one.
    pub(super) fn read(&mut self, cx: &mut Context<'_>, now: Now, out: &mut Outbox) -> Option<Sent> {
        self.raised |= self.signal.take() | self.fetching;
        while self.raised != 0 {
            let place = self.raised.trailing_zeros();
            match self.read_at(usize::try_from(place).unwrap_or(usize::MAX), cx, now, out) {
                Some(sent) => return Some(sent),
                None => self.raised &= !bit(u8::try_from(place).unwrap_or(u8::MAX)),
            }
        }
        None
    }

    fn read_at(&mut self, index: usize, cx: &mut Context<'_>, now: Now, out: &mut Outbox) -> Option<Sent> {
        let place = self.places.get_mut(index)?.as_mut()?;
        if let Some(history) = &mut place.history {
            let Poll::Ready(fetched) = history.fetch.as_mut().poll(cx) else { return None };
            return self.fetched(index, fetched, out);
        }
        match place.feed.read(now) {
            Next::Pending => None,
            Next::Update { tick, frame, more } => {
                if !more {
                    // What comes from now on raises it again.
                    self.raised &= !bit(u8::try_from(index).unwrap_or(u8::MAX));
                }
                place.reached(tick);
                if tick >= place.since {
                    self.delivered = Some(Delivery::new(tick, frame.arrival(), self.read));
                    self.read = self.read.wrapping_add(1);
                }
                self.push_update(index, &frame, out)
            }
            Next::Gap(gap) => self.gap(index, gap, (cx, now), out),
        }
    }

    fn push_update(&mut self, index: usize, frame: &Frame, out: &mut Outbox) -> Option<Sent> {
        let several = self.places.len() > 1;
        let place = self.places.get_mut(index)?.as_mut()?;
        let rendered = frame.rendered(self.format);
        if let Some(schema) = rendered.schema()
            && place.schema.as_ref().is_none_or(|sent| sent.id() != schema.id())
        {
            out.text(schema.event());
            place.schema = Some(schema.clone());
            if let Some(sent) = self.metrics.sent(Sent::Schema) {
                sent.inc();
            }
        }
        if let Some(event) = self.traced.then(|| frame.traced(self.format)).flatten() {
            event.iter().for_each(|part| out.own(part));
            out.own(&event::id_line(&self.cursor().unwrap_or_default()));
        } else if several {
            out.text(rendered.head());
            out.own(&event::id_line(&self.cursor().unwrap_or_default()));
        } else {
            out.text(rendered.whole());
        }
        Some(Sent::Update)
    }

    /// A gap is told, unless its ticks can be had as history. What lies further back than the client asked for is told.
    fn gap(
        &mut self,
        index: usize,
        gap: Gap,
        (cx, now): (&mut Context<'_>, Now),
        out: &mut Outbox,
    ) -> Option<Sent> {
        let place = self.places.get_mut(index)?.as_mut()?;
        let repairable = match gap.reason {
            GapReason::HistoryExpired | GapReason::RepairBudget => true,
            // To give more to a client that cannot take what it gets, or to ask more of an upstream that is slow, helps nobody.
            GapReason::SlowConsumer | GapReason::UpstreamSlow => false,
        };
        let Some((backfill, depth)) = self.backfill.as_ref().filter(|_| repairable) else {
            return self.tell(index, gap, out);
        };
        let grid = place.feed.grid();
        let from = furthest(&place.feed, *depth, gap.to).max(gap.from);
        let Some(history) = History::of(backfill, &place.feed, from, gap.to) else {
            return self.tell(index, gap, out);
        };
        let missed = |from: Tick, to: Tick| grid.count(from.plus_millis(-1), to);
        let instead = Gap { from, missed: missed(from, gap.to), ..gap };
        place.history = Some(Box::new(History { gap: Some(instead), ..*history }));
        self.fetching |= bit(u8::try_from(index).unwrap_or(u8::MAX));
        if from > gap.from {
            let to = grid.step(from, -1);
            return self.tell(index, Gap { to, missed: missed(gap.from, to), ..gap }, out);
        }
        self.read_at(index, cx, now, out)
    }

    /// Tells ticks as lost.
    fn tell(&mut self, index: usize, gap: Gap, out: &mut Outbox) -> Option<Sent> {
        let place = self.places.get_mut(index)?.as_mut()?;
        place.reached(gap.to);
        let (key, interval) = (place.feed.key(), place.feed.interval());
        self.metrics.skipped(gap.reason).inc_by(gap.missed);
        out.own(&event::gap(key, interval, gap, self.cursor().as_deref()));
        Some(Sent::Gap)
    }

    /// History is here, or cannot be had.
    fn fetched(
        &mut self,
        index: usize,
        fetched: Result<Arc<Span>, Failure>,
        out: &mut Outbox,
    ) -> Option<Sent> {
        self.fetching &= !bit(u8::try_from(index).unwrap_or(u8::MAX));
        let place = self.places.get_mut(index)?.as_mut()?;
        let history = place.history.take()?;
        match (fetched, history.gap) {
            (Ok(span), _) => {
                place.reached(history.to);
                out.text(span.head(self.format));
                out.own(&event::id_line(&self.cursor().unwrap_or_default()));
                Some(Sent::Backfill)
            }
            (Err(_), Some(gap)) => self.tell(index, gap, out),
            (Err(failure), None) => {
                let key = place.feed.key();
                out.own(&event::no_backfill(key, history.from, history.to, &failure));
                Some(Sent::Backfill)
            }
        }
    }
}

impl Place {
    fn reached(&mut self, tick: Tick) {
        self.last = Some(tick);
        self.seen.note(tick);
    }
}

impl History {
    /// The ticks from one to another, if there are any.
    fn of(backfill: &Backfill, feed: &Feed, from: Tick, to: Tick) -> Option<Box<Self>> {
        let fetch = || Box::pin(backfill.fetch(feed.topic(), feed.interval(), from, to));
        (from <= to).then(|| Box::new(Self { from, to, gap: None, fetch: fetch() }))
    }
}

/// The first tick of so long a time up to one.
fn furthest(feed: &Feed, depth: Duration, to: Tick) -> Tick {
    let depth = i64::try_from(depth.as_millis()).unwrap_or(i64::MAX);
    feed.grid().next_after(to.plus_millis(-depth))
}

fn bit(place: u8) -> u32 {
    1u32.checked_shl(u32::from(place)).unwrap_or_default()
}
