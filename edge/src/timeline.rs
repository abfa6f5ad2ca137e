//! Timelines of live channels: asked of control at most once in [`FRESH`] by an instance, whatever its load, and served on
//! when control is away. The key-value store has the last one for instances that start while control is away.

use std::sync::Arc;
use std::time::Duration;

use packager::config::{LIVE_PATH, Timeline};
use packager::{Error, limits};

use crate::cache::Flight;
use crate::http::{Lifetime, encode_path};
use crate::origin::{HEAD_TIMEOUT, collect};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::serve::Edge;
use crate::settings::Settings;

/// How long a timeline is taken as it is.
pub const FRESH: Duration = Duration::from_millis(250);
/// How long control is not asked again when it did not answer, or has no timeline.
pub const AWAY: Duration = Duration::from_secs(1);
/// A timeline that control has confirmed so long ago is not taken while a newer one is on its way, unless control is away.
pub const OLD: Duration = Duration::from_secs(1);
/// How long control may take while there is a timeline that can be served instead.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// After so long without a new one the whole timeline is asked for: a channel that began anew counts its revisions from
/// the start, and nothing after the one that is known would ever come.
pub const WHOLE: Duration = Duration::from_secs(10);
/// How long a timeline is served on that control has no more: control has none either when it has just started. Of a
/// channel that is gone the endpoints are gone too.
pub const GONE: Duration = Duration::from_secs(30);
/// How often a request looks whether the one that it waits for has ended.
const FLIGHT_POLL: Duration = Duration::from_millis(5);

/// What an instance knows about a channel. Times are those of the instance's clock.
pub struct Known {
    state: State,
    /// Until then control is not asked.
    until: Duration,
}

#[derive(Clone)]
enum State {
    /// There is a timeline.
    Timeline(Latest),
    /// Control has none.
    Absent,
    /// Control did not answer, and why; none is known from before.
    Away(String),
}

#[derive(Clone)]
struct Latest {
    timeline: Arc<Timeline>,
    /// About how many bytes of memory it holds: as many as its JSON.
    weight: usize,
    /// When it came.
    came: Duration,
    /// When control was last heard to have no newer one.
    confirmed: Duration,
    /// Whether control did not answer, or had none, when it was asked last.
    away: bool,
}

impl Latest {
    fn is_newer(&self, than: &Timeline) -> bool {
        self.timeline.id == than.id && self.timeline.revision > than.revision
    }

    fn is_older(&self, than: &Timeline) -> bool {
        self.timeline.id == than.id && self.timeline.revision < than.revision
    }
}

impl<P: Platform> Edge<P> {
    /// The timeline of a channel, as new as control had it [`FRESH`] ago; older while control is away.
    ///
    /// # Errors
    /// 404 when there is no such channel or it has no media yet, 503 when control is away and none is known.
    pub async fn timeline(
        &self,
        settings: &Settings,
        channel_group: &str,
        channel: &str,
    ) -> Result<Arc<Timeline>, Problem> {
        self.timeline_within(settings, Place::new(channel_group, channel), OLD).await
    }

    /// The same once control may be asked again: what another instance has listed is then known here too.
    ///
    /// # Errors
    /// As [`Self::timeline`].
    pub async fn next_timeline(
        &self,
        settings: &Settings,
        channel_group: &str,
        channel: &str,
    ) -> Result<Arc<Timeline>, Problem> {
        let place = Place::new(channel_group, channel);
        let until = self.timelines.borrow_mut().get(&place.key).map(|known| known.until).unwrap_or_default();
        let wait = until.saturating_sub(self.platform.monotonic());
        if !wait.is_zero() {
            self.platform.sleep(wait.min(FRESH)).await;
        }
        self.timeline_within(settings, place, Duration::ZERO).await
    }

    /// Whether control did not answer, or had nothing, when it was asked for a timeline last: there may be a newer one.
    pub fn is_behind(&self, channel_group: &str, channel: &str) -> bool {
        let place = Place::new(channel_group, channel);
        let mut timelines = self.timelines.borrow_mut();
        matches!(timelines.get(&place.key).map(|known| &known.state), Some(State::Timeline(latest)) if latest.away)
    }

    /// `age` is how long ago control may have been heard last, when another request is asking it.
    async fn timeline_within(
        &self,
        settings: &Settings,
        place: Place<'_>,
        age: Duration,
    ) -> Result<Arc<Timeline>, Problem> {
        let start = self.platform.monotonic();
        loop {
            let now = self.platform.monotonic();
            let known = self.timelines.borrow_mut().get(&place.key).map(|known| (known.state.clone(), known.until));
            let latest = match known {
                Some((state, until)) if now < until => return place.answer(state),
                Some((State::Timeline(latest), _)) => Some(latest),
                _ => None,
            };
            let flight = self.flights.start(&format!("timeline {}", place.key));
            match (flight, latest) {
                (Some(flight), latest) => return self.ask_timeline(settings, &place, latest, flight).await,
                (None, Some(latest)) if latest.away || now.saturating_sub(latest.confirmed) < age => {
                    return Ok(latest.timeline);
                }
                (None, latest) if now.saturating_sub(start) >= HEAD_TIMEOUT => {
                    let away = || State::Away("another request waits for it".to_owned());
                    return place.answer(latest.map_or_else(away, State::Timeline));
                }
                (None, _) => self.platform.sleep(FLIGHT_POLL).await,
            }
        }
    }

    /// Asks control, and remembers what has come of it.
    async fn ask_timeline(
        &self,
        settings: &Settings,
        place: &Place<'_>,
        latest: Option<Latest>,
        _flight: Flight<'_>,
    ) -> Result<Arc<Timeline>, Problem> {
        let asked = self.platform.monotonic();
        let after = latest.as_ref().filter(|latest| !latest.away && asked.saturating_sub(latest.came) < WHOLE);
        let pulled = self.pull_timeline(settings, place, after.map(|latest| latest.timeline.revision));
        let pulled = self.within(if latest.is_some() { PATIENCE } else { HEAD_TIMEOUT }, pulled).await;
        let now = self.platform.monotonic();
        let mut stored = None;
        let (state, pause) = match (pulled, latest) {
            // Another process of control may be behind the one that was asked before.
            (Ok(Pulled::Timeline(timeline, _)), Some(latest)) if latest.is_newer(&timeline) => {
                (State::Timeline(Latest { came: now, confirmed: now, away: false, ..latest }), FRESH)
            }
            (Ok(Pulled::Timeline(timeline, json)), _) => {
                let latest = Latest { timeline, weight: json.len(), came: now, confirmed: now, away: false };
                stored = Some(json);
                (State::Timeline(latest), FRESH)
            }
            (Ok(Pulled::NothingNew), Some(latest)) => {
                (State::Timeline(Latest { confirmed: now, away: false, ..latest }), FRESH)
            }
            (Ok(Pulled::Absent), Some(latest)) if now.saturating_sub(latest.confirmed) < GONE => {
                (State::Timeline(Latest { away: true, ..latest }), AWAY)
            }
            (Ok(Pulled::NothingNew | Pulled::Absent), _) => (State::Absent, AWAY),
            (Err(why), Some(latest)) => {
                if !latest.away {
                    eprintln!("timeline {}: {why}", place.key);
                }
                // Another instance may have heard more of control before it went away.
                let latest = match self.stored_timeline(place).await {
                    Some((timeline, weight)) if latest.is_older(&timeline) => {
                        Latest { timeline, weight, came: now, ..latest }
                    }
                    _ => latest,
                };
                (State::Timeline(Latest { away: true, ..latest }), AWAY)
            }
            (Err(why), None) => match self.stored_timeline(place).await {
                Some((timeline, weight)) => {
                    eprintln!("timeline {}: {why}", place.key);
                    (State::Timeline(Latest { timeline, weight, came: now, confirmed: now, away: true }), AWAY)
                }
                None => (State::Away(why), AWAY),
            },
        };
        let weight = place.key.len() + if let State::Timeline(latest) = &state { latest.weight } else { 0 };
        // Counted from when it was asked: an answer that takes long is not fresh for longer.
        let until = if pause == FRESH { (asked + FRESH).max(now) } else { now + pause };
        self.timelines.borrow_mut().put(&place.key, Known { state: state.clone(), until }, weight);
        if let Some(json) = stored
            && let Err(e) = self.platform.save(&place.storage_key(), &json).await
        {
            eprintln!("key-value store, timeline {}: {e}", place.key);
        }
        place.answer(state)
    }

    /// The last timeline that any instance has stored, and the length of its JSON.
    async fn stored_timeline(&self, place: &Place<'_>) -> Option<(Arc<Timeline>, usize)> {
        let loaded = self.platform.load(&place.storage_key()).await;
        let json = loaded.inspect_err(|e| eprintln!("key-value store, timeline {}: {e}", place.key)).ok()??;
        let read = place.read(&json).inspect_err(|e| eprintln!("stored timeline {}: {e}", place.key));
        Some((Arc::new(read.ok()?), json.len()))
    }

    async fn pull_timeline(
        &self,
        settings: &Settings,
        place: &Place<'_>,
        after: Option<u64>,
    ) -> Result<Pulled, String> {
        let query = after.map(|revision| format!("?after={revision}&wait=0")).unwrap_or_default();
        let url = format!("{}{LIVE_PATH}{}{query}", settings.control_url, encode_path(&place.key));
        // The next request is the next attempt.
        let mut incoming = self.send(settings, &url, &[]).await?;
        match incoming.status {
            200 => {}
            204 => return Ok(Pulled::NothingNew),
            404 => return Ok(Pulled::Absent),
            status => return Err(format!("control answered {status}")),
        }
        let limit = limits::MAX_TIMELINE_BYTES;
        let json = collect(&mut incoming.body, limit).await.map_err(|unread| unread.told(limit))?;
        Ok(Pulled::Timeline(Arc::new(place.read(&json)?), json))
    }
}

/// What control answered.
enum Pulled {
    /// A timeline, and its JSON.
    Timeline(Arc<Timeline>, Vec<u8>),
    NothingNew,
    Absent,
}

/// Which channel.
struct Place<'a> {
    channel_group: &'a str,
    channel: &'a str,
    key: String,
}

impl<'a> Place<'a> {
    fn new(channel_group: &'a str, channel: &'a str) -> Self {
        Self { channel_group, channel, key: format!("{channel_group}/{channel}") }
    }

    /// The key under which the timeline is stored. No document has it: none is of this kind.
    fn storage_key(&self) -> String {
        format!("timeline:{}:{}", self.channel_group, self.channel)
    }

    fn read(&self, json: &[u8]) -> Result<Timeline, String> {
        let timeline = Timeline::from_json(json).map_err(|e| e.to_string())?;
        let Timeline { channel_group, channel, .. } = &timeline;
        if channel_group == self.channel_group && channel == self.channel {
            return Ok(timeline);
        }
        Err(format!("this is the timeline of channel {channel:?} in group {channel_group:?}"))
    }

    fn answer(&self, state: State) -> Result<Arc<Timeline>, Problem> {
        let Self { channel_group, channel, .. } = self;
        match state {
            State::Timeline(latest) => Ok(latest.timeline),
            State::Absent => {
                let what = format!("channel {channel:?} of group {channel_group:?} has no media yet");
                let lifetime = Lifetime::Seconds(1);
                Err(Problem { lifetime, ..Error::not_found(what).into() })
            }
            State::Away(why) => {
                let what =
                    format!("the timeline of channel {channel:?} in group {channel_group:?} is not at this edge");
                Err(Problem::unavailable(format!("{what}, and control did not give it: {why}")))
            }
        }
    }
}
