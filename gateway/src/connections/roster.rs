//! Which subscriptions a connection has: the client's names for them, and the place of each in the cursor.
//!
//! The places of a request are in its order, so that a browser that reconnects with its first URL finds each position where
//! it was. What is added later takes places behind, and then those that are free again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use promcast_proto::control;
use promcast_proto::cursor::SUBSCRIPTIONS_MAX;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Key;

/// The last tick sent of a topic, for those who ask for the status.
#[derive(Clone, Debug)]
pub struct Seen(Arc<AtomicI64>);

impl Default for Seen {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MIN)))
    }
}

impl Seen {
    /// Takes note of a tick that was sent.
    pub fn note(&self, tick: Tick) {
        self.0.store(tick.millis(), Ordering::Relaxed);
    }

    /// What was noted last; before all time where nothing was.
    pub(crate) fn last(&self) -> Tick {
        Tick::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn tick(&self) -> Option<Tick> {
        Some(self.last()).filter(|last| last.millis() >= 0)
    }
}

/// A subscription that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The client's name for it.
    pub id: String,
    /// The topic.
    pub key: Key,
    /// How often.
    pub interval: Interval,
}

/// Why a connection cannot have these subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A name for two things.
    #[error("the id `{0}` is given to two subscriptions; each has its own")]
    Id(String),
    /// A connection reads a topic at one interval.
    #[error(
        "`{id}` and `{other}` are the same query at different intervals; ask for the shorter one in both, and use every n-th update where the \
         longer one is wanted"
    )]
    Interval {
        /// The name of one.
        id: String,
        /// The name of the other.
        other: String,
    },
    /// All places are taken.
    #[error("a connection has at most {0} subscriptions; open another one for the rest")]
    TooMany(usize),
}

/// One topic of a connection.
#[derive(Clone, Debug)]
struct Held {
    key: Key,
    interval: Interval,
    seen: Seen,
}

/// The subscriptions of a connection.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    names: Vec<(String, usize)>,
    places: Vec<Option<Held>>,
}

/// A wish that takes a place: which one of the list, and where.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Which of the wishes.
    pub wish: usize,
    /// Its place in the cursor.
    pub place: u8,
    /// Where its last tick is noted.
    pub seen: Seen,
}

/// What a change means for whoever reads the topics.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Places whose topic leaves.
    pub left: Vec<u8>,
    /// Wishes that take a place.
    pub joined: Vec<Placed>,
    /// Names that were there and are no more.
    pub removed: Vec<String>,
}

impl Roster {
    /// The subscriptions of a request, each at its place. One that repeats an earlier one shares its place.
    pub fn of_request(wishes: &[Wish], most: usize) -> Result<(Self, Diff), Conflict> {
        let (mut roster, mut diff) = (Self::default(), Diff::default());
        let most = most.min(SUBSCRIPTIONS_MAX);
        if wishes.len() > most {
            return Err(Conflict::TooMany(most));
        }
        roster.names.reserve_exact(wishes.len());
        roster.places.reserve_exact(wishes.len());
        for (place, wish) in wishes.iter().enumerate() {
            let known = roster.shared(wish)?;
            roster.places.push(None);
            match known {
                Some(known) => roster.names.push((wish.id.clone(), known)),
                None => diff.joined.push(roster.put(place, place, wish)),
            }
        }
        Ok((roster, diff))
    }

    /// The subscriptions after these were removed and those were added. What stays keeps its place.
    pub fn amend(&self, remove: &[String], add: &[Wish], most: usize) -> Result<(Self, Diff), Conflict> {
        let (mut next, mut diff) = (self.clone(), Diff::default());
        next.names.retain(|(id, _)| {
            let goes = remove.contains(id);
            diff.removed.extend(goes.then(|| id.clone()));
            !goes
        });
        // What is removed and added again under another name goes on where it is.
        let mut missing = Vec::new();
        for (index, wish) in add.iter().enumerate() {
            match next.place_of(wish) {
                Some(place) if next.held(place).is_some_and(|held| held.interval == wish.interval) => {
                    next.name(wish, place)?;
                }
                Some(_) | None => missing.push((index, wish)),
            }
        }
        diff.left = next.drop_nameless();
        for (index, wish) in missing {
            match next.shared(wish)? {
                Some(place) => next.name(wish, place)?,
                None => {
                    let place = next.free_place(most.min(SUBSCRIPTIONS_MAX))?;
                    diff.joined.push(next.put(index, place, wish));
                }
            }
        }
        if next.names.len() > most.min(SUBSCRIPTIONS_MAX) {
            return Err(Conflict::TooMany(most.min(SUBSCRIPTIONS_MAX)));
        }
        Ok((next, diff))
    }

    /// The topics.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.places.iter().flatten().map(|held| held.key)
    }

    /// What is told of it to those who ask for the status.
    pub fn describe(&self) -> Vec<control::Subscription> {
        let describe = |(id, place): &(String, usize)| {
            let held = self.held(*place)?;
            let (key, interval, last) = (held.key, held.interval, held.seen.tick());
            Some(control::Subscription { id: id.clone(), key, interval, last })
        };
        self.names.iter().filter_map(describe).collect()
    }

    fn held(&self, place: usize) -> Option<&Held> {
        self.places.get(place)?.as_ref()
    }

    fn place_of(&self, wish: &Wish) -> Option<usize> {
        self.places.iter().position(|held| held.as_ref().is_some_and(|held| held.key == wish.key))
    }

    /// The place that a wish shares with an earlier one, where it may.
    fn shared(&self, wish: &Wish) -> Result<Option<usize>, Conflict> {
        if self.names.iter().any(|(id, _)| *id == wish.id) {
            return Err(Conflict::Id(wish.id.clone()));
        }
        let Some(place) = self.place_of(wish) else { return Ok(None) };
        if self.held(place).is_some_and(|held| held.interval == wish.interval) {
            return Ok(Some(place));
        }
        let other = self.names.iter().find(|(_, at)| *at == place);
        let other = other.map(|(id, _)| id.clone()).unwrap_or_default();
        Err(Conflict::Interval { id: wish.id.clone(), other })
    }

    /// Gives a place one more name. The same name for the same thing is no change: a request may come twice.
    fn name(&mut self, wish: &Wish, place: usize) -> Result<(), Conflict> {
        match self.names.iter().find(|(id, _)| *id == wish.id) {
            Some((_, at)) if *at == place => Ok(()),
            Some(_) => Err(Conflict::Id(wish.id.clone())),
            None => {
                self.names.push((wish.id.clone(), place));
                Ok(())
            }
        }
    }

    fn drop_nameless(&mut self) -> Vec<u8> {
        let mut left = Vec::new();
        for (place, held) in self.places.iter_mut().enumerate() {
            if held.is_some() && !self.names.iter().any(|(_, at)| *at == place) {
                *held = None;
                left.extend(u8::try_from(place));
            }
        }
        left
    }

    fn free_place(&mut self, most: usize) -> Result<usize, Conflict> {
        if self.places.len() < most {
            self.places.push(None);
            return Ok(self.places.len() - 1);
        }
        self.places.iter().position(Option::is_none).ok_or(Conflict::TooMany(most))
    }

    fn put(&mut self, wish: usize, place: usize, asked: &Wish) -> Placed {
        let held = Held { key: asked.key, interval: asked.interval, seen: Seen::default() };
        let seen = held.seen.clone();
        if let Some(slot) = self.places.get_mut(place) {
            *slot = Some(held);
        }
        self.names.push((asked.id.clone(), place));
        Placed { wish, place: u8::try_from(place).unwrap_or(u8::MAX), seen }
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::topic::{Datasource, Topic};
    use proptest::prelude::*;

    use super::*;

    fn wish(id: &str, query: &str, seconds: u16) -> Wish {
        let key = Topic::new(Datasource::default(), query.to_owned()).key();
        Wish { id: id.to_owned(), key, interval: Interval::from_secs(seconds).unwrap() }
    }

    fn opened(wishes: &[Wish]) -> Roster {
        Roster::of_request(wishes, 32).unwrap().0
    }

    fn joined(diff: &Diff) -> Vec<(usize, u8)> {
        diff.joined.iter().map(|placed| (placed.wish, placed.place)).collect()
    }

    #[test]
    fn a_request_has_its_places_in_order_and_shares_what_repeats() {
        let wishes = [wish("a", "x", 5), wish("b", "x", 5), wish("c", "y", 15)];
        let (roster, diff) = Roster::of_request(&wishes, 32).unwrap();
        assert_eq!(joined(&diff), [(0, 0), (2, 2)]);
        assert_eq!(roster.describe().len(), 3);
        assert_eq!(Roster::of_request(&wishes, 2).unwrap_err(), Conflict::TooMany(2));
    }

    #[test]
    fn one_topic_at_two_intervals_and_one_name_for_two_are_refused() {
        let error = Roster::of_request(&[wish("a", "x", 5), wish("b", "x", 15)], 32).unwrap_err();
        assert_eq!(error, Conflict::Interval { id: "b".to_owned(), other: "a".to_owned() });
        let error = Roster::of_request(&[wish("a", "x", 5), wish("a", "y", 5)], 32).unwrap_err();
        assert_eq!(error, Conflict::Id("a".to_owned()));
    }

    #[test]
    fn what_is_added_goes_behind_and_then_where_there_is_room() {
        let roster = opened(&[wish("a", "x", 5), wish("b", "y", 5)]);
        let (roster, diff) = roster.amend(&["a".to_owned()], &[wish("c", "z", 5)], 3).unwrap();
        assert_eq!((diff.left.as_slice(), joined(&diff)), (&[0][..], vec![(0, 2)]));
        let (roster, diff) = roster.amend(&[], &[wish("d", "w", 5)], 3).unwrap();
        assert_eq!(joined(&diff), [(0, 0)]);
        assert_eq!(roster.amend(&[], &[wish("e", "v", 5)], 3).unwrap_err(), Conflict::TooMany(3));
        let all = ["b", "c", "d"].map(str::to_owned);
        let (_, diff) = roster.amend(&all, &[wish("e", "v", 5), wish("f", "u", 5)], 3).unwrap();
        assert_eq!((diff.left.len(), diff.joined.len()), (3, 2));
    }

    #[test]
    fn a_topic_lives_as_long_as_it_has_a_name() {
        let roster = opened(&[wish("a", "x", 5), wish("b", "x", 5)]);
        let (roster, diff) = roster.amend(&["a".to_owned(), "nobody".to_owned()], &[], 32).unwrap();
        assert_eq!((diff.left.len(), diff.removed.as_slice()), (0, &["a".to_owned()][..]));
        let (roster, diff) = roster.amend(&["b".to_owned()], &[wish("c", "x", 5)], 32).unwrap();
        assert!(diff.left.is_empty() && diff.joined.is_empty(), "it was interrupted: {diff:?}");
        let (_, diff) = roster.amend(&["c".to_owned()], &[wish("c", "x", 15)], 32).unwrap();
        assert_eq!(
            (diff.left.as_slice(), joined(&diff)),
            (&[0][..], vec![(0, 2)]),
            "another interval starts anew"
        );
    }

    #[test]
    fn a_request_that_comes_twice_changes_nothing_the_second_time() {
        let add = [wish("a", "x", 5), wish("b", "y", 15)];
        let (roster, _) = Roster::default().amend(&[], &add, 32).unwrap();
        let (_, diff) = roster.amend(&[], &add, 32).unwrap();
        assert!(diff.joined.is_empty() && diff.left.is_empty());
        assert_eq!(roster.amend(&[], &[wish("a", "z", 5)], 32).unwrap_err(), Conflict::Id("a".to_owned()));
    }

    proptest! {
        #[test]
        fn a_refused_change_changes_nothing_and_a_taken_one_is_whole(
            steps in prop::collection::vec((prop::collection::vec(0_u8..12, 0..4), prop::collection::vec((0_u8..12, 0_u8..8, prop::bool::ANY), 0..5)), 1..20),
        ) {
            let mut roster = Roster::default();
            for (remove, add) in steps {
                let remove: Vec<_> = remove.iter().map(u8::to_string).collect();
                let add: Vec<_> = add
                    .iter()
                    .map(|(id, query, often)| wish(&id.to_string(), &query.to_string(), if *often { 5 } else { 15 }))
                    .collect();
                let before = roster.describe().len();
                match roster.amend(&remove, &add, 6) {
                    Err(_) => prop_assert_eq!(roster.describe().len(), before),
                    Ok((next, _)) => {
                        let held = next.describe();
                        prop_assert!(held.len() <= 6);
                        for wish in &add {
                            let is_there = held.iter().any(|sub| (&sub.id, sub.key, sub.interval) == (&wish.id, wish.key, wish.interval));
                            prop_assert!(is_there, "{:?} is not in {:?}", wish, held);
                        }
                        let mut keys: Vec<_> = next.keys().map(|key| key.to_string()).collect();
                        let count = keys.len();
                        keys.sort();
                        keys.dedup();
                        prop_assert_eq!(keys.len(), count, "a topic has two places");
                        roster = next;
                    }
                }
            }
        }
    }
}
