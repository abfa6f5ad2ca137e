//! Requests for assets: their documents, the packager's job, an answer.

use std::rc::Rc;

use bytes::Bytes;
use futures::future::try_join_all;
use packager::job::{Job, Step};
use packager::response::Response;
use packager::route::Route;
use packager::{Error, ErrorKind};

use crate::answer::Answer;
use crate::cache::{prepared_key, rendered_key};
use crate::deliver::Made;
use crate::http::Lifetime;
use crate::platform::Platform;
use crate::problem::{Kind, Problem};
use crate::serve::{Edge, Request};
use crate::settings::Settings;
use crate::store::{DOUBTED, FRESH, Resolved};
use crate::timing::Timing;
use crate::transfer::Media;
use crate::viewer::Viewer;

/// Rounds of fetches that one job may take; it needs two.
const MAX_ROUNDS: usize = 16;

impl<P: Platform> Edge<P> {
    /// Answers a request for something of an asset.
    ///
    /// # Errors
    /// See [`Self::documents`], [`Job`] and [`Self::deliver`].
    pub async fn play(
        self: &Rc<Self>,
        settings: Rc<Settings>,
        route: Route,
        request: Request<P::Body>,
    ) -> Result<Answer<P>, Problem> {
        let viewer = Viewer::new(&request.headers, settings.trusted_proxies);
        let mut timing = Timing::default();
        let mut start = self.platform.monotonic();
        let mut resolved = self.documents(&settings, &route, &viewer, FRESH).await?;
        timing.documents = self.lap(&mut start);
        let mut made = self.respond(&settings, &route, &resolved, &mut timing).await;
        if matches!(&made, Err(problem) if problem.kind == Kind::Core(ErrorKind::NotFound)) {
            // The URL may come from an instance or edge that has a document which is newer than the one in memory here.
            start = self.platform.monotonic();
            let again = self.documents(&settings, &route, &viewer, DOUBTED).await?;
            timing.documents += self.lap(&mut start);
            if again.identity != resolved.identity {
                made = self.respond(&settings, &route, &again, &mut timing).await;
                resolved = again;
            }
        }
        let access = &resolved.documents.configuration.access;
        let deliver = async {
            let response = made?;
            let lifetime = Lifetime::from(response.cache);
            let media = Media { edge: self.clone(), settings, asset: Some(resolved.documents.asset.clone()) };
            self.deliver(&request, &Made { response, lifetime, access }, media, timing).await
        };
        deliver.await.map_err(|problem| problem.behind(access))
    }

    /// The answer of the core: one that was made before, or made now.
    async fn respond(
        &self,
        settings: &Settings,
        route: &Route,
        resolved: &Resolved,
        timing: &mut Timing,
    ) -> Result<Rc<Response>, Problem> {
        let Resolved { documents, identity } = resolved;
        let key = rendered_key(&route.resource, identity);
        if let Some(response) = self.cache.borrow_mut().rendered(&key) {
            return Ok(response);
        }
        let prepared_key = prepared_key(identity);
        let prepared = self.cache.borrow_mut().prepared(&prepared_key);
        let had = prepared.is_some();
        let index = &documents.asset.index;
        let mut start = self.platform.monotonic();
        let mut job = Job::new(route.clone(), documents.clone(), prepared)?;
        for _ in 0..MAX_ROUNDS {
            let step = job.step()?;
            timing.make += self.lap(&mut start);
            match step {
                Step::Fetch(fetches) => {
                    let reads = fetches.into_iter().map(async |fetch| {
                        self.index(settings, index, fetch.range).await.map(|bytes| (fetch.id, bytes))
                    });
                    let supplies: Vec<(u32, Bytes)> = try_join_all(reads).await?;
                    timing.index += self.lap(&mut start);
                    for (id, bytes) in supplies {
                        job.supply(id, bytes)?;
                    }
                }
                Step::Done(response) => {
                    let response = Rc::new(response);
                    let mut cache = self.cache.borrow_mut();
                    if let Some(prepared) = job.prepared().filter(|_| !had) {
                        cache.keep_prepared(&prepared_key, prepared);
                    }
                    cache.keep_rendered(&key, &response);
                    return Ok(response);
                }
            }
        }
        Err(Error::internal(format!("the job asked more than {MAX_ROUNDS} times")).into())
    }
}
