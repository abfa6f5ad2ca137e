//! Requests for live endpoints: the endpoint, the timeline of its channel, the packager's job, an answer.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use packager::config::{Timeline, group};
use packager::live::{Documents, Job, Numbering, Query, Step};
use packager::response::Response;
use packager::route::{LiveFile, LiveResource, LiveRoute};
use packager::{Error, ErrorKind};

use crate::answer::Answer;
use crate::cache::{live_key, rendered_key};
use crate::deliver::Made;
use crate::http::Lifetime;
use crate::platform::Platform;
use crate::problem::{Kind, Problem};
use crate::serve::{Edge, Request, too_long};
use crate::settings::Settings;
use crate::store::{DOUBTED, FRESH, Offered};
use crate::timing::Timing;
use crate::transfer::Media;
use crate::viewer::Viewer;

/// Rounds of fetches that one job may take: a listing and a part for each end of a window, then those between them.
const MAX_ROUNDS: usize = 16;
/// Fetches that are under way at a time for one request. A window of a day has some hundred parts.
const FETCHES_AT_ONCE: usize = 16;
/// What is not there is soon.
const ABSENT: Lifetime = Lifetime::Seconds(1);
/// So many segments after the last one that is known here, another edge may have listed.
const AHEAD: u64 = 2;

/// What is asked for.
struct Asked<'a> {
    settings: &'a Rc<Settings>,
    route: &'a LiveRoute,
    query: Query,
    offered: Offered,
    timeline: Arc<Timeline>,
}

impl<P: Platform> Edge<P> {
    /// Answers a request for something of a live endpoint.
    ///
    /// # Errors
    /// See [`Self::endpoint`], [`Self::timeline`], [`Job`] and [`Self::deliver`].
    pub async fn play_live(
        self: &Rc<Self>,
        settings: Rc<Settings>,
        route: LiveRoute,
        request: Request<P::Body>,
    ) -> Result<Answer<P>, Problem> {
        let viewer = Viewer::new(&request.headers, settings.trusted_proxies);
        let mut start = self.platform.monotonic();
        let offered = self.endpoint(&settings, &route, &viewer, FRESH).await?;
        let endpoint = offered.endpoint.clone();
        let answer = async {
            let query = Query::parse(&request.query).map_err(too_long)?;
            let timeline = self.timeline(&settings, &route.channel_group, &route.channel).await?;
            let timing = Timing { documents: self.lap(&mut start), ..Timing::default() };
            let asked = Asked { settings: &settings, route: &route, query, offered, timeline };
            self.answer_live(asked, &viewer, &request, timing).await
        };
        // Who may play was asked of this very endpoint; a newer one is asked again where it is taken.
        answer.await.map_err(|problem| {
            let lifetime = if not_found(&problem) { ABSENT } else { problem.lifetime };
            Problem { lifetime, ..problem.behind(&endpoint.access) }
        })
    }

    async fn answer_live(
        self: &Rc<Self>,
        mut asked: Asked<'_>,
        viewer: &Viewer<'_>,
        request: &Request<P::Body>,
        mut timing: Timing,
    ) -> Result<Answer<P>, Problem> {
        let mut made = self.respond_live(&asked, &mut timing).await;
        if made.as_ref().is_err_and(not_found) {
            // The URL may come from an instance or edge that knows more than this one.
            let mut start = self.platform.monotonic();
            let offered = self.endpoint(asked.settings, asked.route, viewer, DOUBTED).await?;
            let mut timeline = asked.timeline.clone();
            if asked.may_come() {
                let LiveRoute { channel_group, channel, .. } = asked.route;
                timeline = self.next_timeline(asked.settings, channel_group, channel).await?;
            }
            timing.documents += self.lap(&mut start);
            let news = offered.identity != asked.offered.identity || !Arc::ptr_eq(&timeline, &asked.timeline);
            if news {
                asked = Asked { offered, timeline, ..asked };
                made = self.respond_live(&asked, &mut timing).await;
            }
            let LiveRoute { channel_group, channel, .. } = asked.route;
            if made.as_ref().is_err_and(not_found) && asked.may_come() && self.is_behind(channel_group, channel) {
                // Players give up what is not found, and ask again for what is not there now.
                made = Err(Problem::unavailable(
                    "this may be newer than what this edge knows of the channel, and control does not answer",
                ));
            }
        }
        let access = &asked.offered.endpoint.access;
        let deliver = async {
            let response = made?;
            let lifetime = Lifetime::from(response.cache);
            let media = Media { edge: self.clone(), settings: asked.settings.clone(), asset: None };
            self.deliver(request, &Made { response, lifetime, access }, media, timing).await
        };
        deliver.await.map_err(|problem| problem.behind(access))
    }

    /// The answer of the core: one that was made before, or made now.
    async fn respond_live(&self, asked: &Asked<'_>, timing: &mut Timing) -> Result<Rc<Response>, Problem> {
        let Asked { settings, route, query, offered, timeline } = asked;
        let mut now_ms = self.platform.unix_ms();
        if query.offset_seconds.is_some() {
            // The window moves with the clock, once a second.
            now_ms -= now_ms % 1000;
        }
        let key = rendered_key(&route.resource, &asked.identity(now_ms));
        if !asked.is_gone()
            && let Some(response) = self.cache.borrow_mut().rendered(&key)
        {
            return Ok(response);
        }
        let live_key = live_key(&route.channel_group, &route.channel);
        let prepared = self.cache.borrow_mut().live(&live_key);
        let up_to_date = prepared.as_ref().is_some_and(|prepared| prepared.is_of(timeline));
        let documents =
            Documents { endpoint: offered.endpoint.clone(), timeline: timeline.clone(), keys: offered.keys.clone() };
        let mut start = self.platform.monotonic();
        let mut job = Job::new((*route).clone(), query.clone(), documents, now_ms, prepared)?;
        for _ in 0..MAX_ROUNDS {
            let step = job.step()?;
            timing.make += self.lap(&mut start);
            match step {
                Step::Fetch(fetches) => {
                    let reads = fetches.into_iter().map(|fetch| async move {
                        let bytes = self.live_index(settings, &fetch.path, fetch.range).await?;
                        Ok::<_, Problem>((fetch.id, bytes))
                    });
                    let supplies: Vec<(u32, Bytes)> =
                        stream::iter(reads).buffer_unordered(FETCHES_AT_ONCE).try_collect().await?;
                    timing.index += self.lap(&mut start);
                    for (id, bytes) in supplies {
                        job.supply(id, bytes)?;
                    }
                }
                Step::Done(response) => {
                    let response = Rc::new(response);
                    let mut cache = self.cache.borrow_mut();
                    if !up_to_date {
                        cache.keep_live(&live_key, job.prepared());
                    }
                    cache.keep_rendered(&key, &response);
                    return Ok(response);
                }
            }
        }
        Err(Error::internal(format!("the job asked more than {MAX_ROUNDS} times")).into())
    }
}

impl Asked<'_> {
    /// Names all that the answer is made of, beside its resource.
    fn identity(&self, now_ms: u64) -> String {
        let Self { query, offered, timeline, .. } = self;
        let Timeline { id, revision, .. } = &**timeline;
        let documents = format!("{id} {}", offered.identity);
        match self.file() {
            // These never change.
            Some(LiveFile::Segment { .. } | LiveFile::Init(_)) => documents,
            _ if query.offset_seconds.is_some() => format!("{documents} @{revision} {query} {now_ms}"),
            _ => format!("{documents} @{revision} {query}"),
        }
    }

    fn file(&self) -> Option<LiveFile> {
        match self.route.resource {
            LiveResource::Tagged { file, .. } => Some(file),
            LiveResource::Manifest { .. } => None,
        }
    }

    fn numbering(&self) -> Numbering<'_> {
        let target = self.offered.endpoint.segment_duration_seconds;
        Numbering::new(&self.timeline, group(target, self.timeline.position_seconds))
    }

    /// Whether it is a segment that was stored once.
    fn is_gone(&self) -> bool {
        matches!(self.file(), Some(LiveFile::Segment { number, .. }) if number < self.numbering().start())
    }

    /// Whether it may be there although the timeline does not have it yet.
    fn may_come(&self) -> bool {
        let follows = |number: u64, end: u64, most: u64| number.checked_sub(end).is_some_and(|ahead| ahead < most);
        match self.file() {
            Some(LiveFile::Segment { number, .. }) => follows(number, self.numbering().end(), AHEAD),
            Some(LiveFile::Init(position)) => {
                let numbering = self.numbering();
                follows(position, self.timeline.next, AHEAD * numbering.group())
            }
            _ => false,
        }
    }
}

fn not_found(problem: &Problem) -> bool {
    problem.kind == Kind::Core(ErrorKind::NotFound)
}
