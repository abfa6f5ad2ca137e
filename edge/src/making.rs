//! Makes a part of a body from media while the media arrives.

use core::ops::Range;
use std::sync::Arc;

use futures::future::{join, try_join_all};
use packager::Error;
use packager::make::{Maker, Progress, Recipe};

use crate::platform::{Body, Closed, Sink};
use crate::problem::Problem;
use crate::transfer::{Broken, Origin};

/// How many reads of one part are opened before the answer begins. What lies beyond is opened once it is needed: a part
/// that is put together of so many objects must not hold a connection for each while its receiver takes its time.
const OPENED_AHEAD: usize = 32;
/// What was made is sent once it has so many bytes, when more has to be read first.
const SEND_BYTES: usize = 16 << 10;

/// A part of a body that is made, with its reads opened.
pub struct Making<B> {
    maker: Maker,
    /// For each input of the maker what is read of it.
    bodies: Vec<Option<B>>,
}

impl<B: Body> Making<B> {
    /// Opens what `range` of the output of `recipe` is made from.
    ///
    /// # Errors
    /// Why a read cannot be opened.
    pub async fn open<O: Origin<Body = B>>(
        origin: &O,
        recipe: Arc<Recipe>,
        range: Range<u64>,
    ) -> Result<Self, Problem> {
        let maker = Maker::new(recipe, range);
        let first = maker.inputs().iter().take(OPENED_AHEAD);
        let mut bodies: Vec<Option<B>> =
            try_join_all(first.map(async |input| origin.open(&input.object, input.range.clone()).await.map(Some)))
                .await?;
        bodies.resize_with(maker.inputs().len(), || None);
        Ok(Self { maker, bodies })
    }

    /// Sends `out` and then all of the part but its end, which is given back. Of each input no more than one piece is read
    /// before it is needed.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn run<O: Origin<Body = B>>(
        mut self,
        origin: &O,
        mut out: Vec<u8>,
        sink: &mut impl Sink,
    ) -> Result<Vec<u8>, Broken> {
        let mut spare = Vec::new();
        loop {
            let number = match self.maker.step(&mut out).map_err(broken)? {
                Progress::Done => return Ok(out),
                Progress::Ready => {
                    out = sink.send(out).await.map_err(|Closed| Broken::Closed)?;
                    out.clear();
                    continue;
                }
                Progress::Need(number) => number,
            };
            let read = read(&mut self.bodies, origin, &self.maker, (number, spare));
            let send = async {
                if out.len() < SEND_BYTES {
                    return Ok(out);
                }
                let mut out = sink.send(out).await?;
                out.clear();
                Ok(out)
            };
            let (left, chunk) = join(send, read).await;
            out = left.map_err(|Closed| Broken::Closed)?;
            spare = chunk?;
            self.maker.supply(number, &spare).map_err(broken)?;
            spare.clear();
        }
    }
}

/// The next piece of an input.
async fn read<O: Origin>(
    bodies: &mut [Option<O::Body>],
    origin: &O,
    maker: &Maker,
    (number, spare): (usize, Vec<u8>),
) -> Result<Vec<u8>, Broken> {
    let (Some(body), Some(input)) = (bodies.get_mut(number), maker.inputs().get(number)) else {
        return Err(Broken::Origin(format!("the core asks for input {number}, which it does not have")));
    };
    let body = match body {
        Some(body) => body,
        None => {
            let opened = origin.open(&input.object, input.range.clone()).await;
            body.insert(opened.map_err(|problem| Broken::Origin(problem.detail))?)
        }
    };
    let named = |what: &str| Broken::Origin(format!("{}: {what}", input.object.path));
    let chunk = body.chunk(spare).await.map_err(|what| named(&what))?;
    chunk.ok_or_else(|| named("the origin ended early"))
}

fn broken(error: Error) -> Broken {
    Broken::Origin(error.message().to_owned())
}
