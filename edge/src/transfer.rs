//! Sends a body that a plan describes: bytes of ours, and reads of sources that are passed on while they arrive.

use core::ops::Range;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join;
use packager::config::{Asset, SourceObject};
use packager::response::{Keep, Send};

use crate::making::Making;
use crate::platform::{Body, Platform, Sink};
use crate::problem::Problem;
use crate::serve::Edge;
use crate::settings::Settings;

/// Why a body ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The receiver went away.
    Closed,
    /// An origin failed or sent something else than was asked for.
    Origin(String),
}

/// Opens ranged reads.
#[allow(async_fn_in_trait, reason = "one thread, and no caller needs a bound on the futures")]
pub trait Origin {
    /// What arrives.
    type Body: Body;

    /// Asks for a range of an object and waits until the origin has agreed to send exactly that.
    ///
    /// # Errors
    /// Why it does not.
    async fn open(&self, object: &SourceObject, range: Range<u64>) -> Result<Self::Body, Problem>;
}

/// The media of one asset, or of live channels.
pub struct Media<P: Platform> {
    /// Where to read.
    pub edge: Rc<Edge<P>>,
    /// How to ask.
    pub settings: Rc<Settings>,
    /// Whose media it is: control notes on it what is found to be wrong.
    pub asset: Option<Arc<Asset>>,
}

impl<P: Platform> Origin for Media<P> {
    type Body = P::Body;

    async fn open(&self, object: &SourceObject, range: Range<u64>) -> Result<P::Body, Problem> {
        self.edge.open_media(&self.settings, self.asset.as_deref(), object, range).await
    }
}

/// What one piece of a plan needs of an origin, with its reads opened.
pub enum Opened<B> {
    /// The body of a [`Send::Read`].
    Read(B),
    /// A [`Send::Make`].
    Make(Box<Making<B>>),
}

impl<B: Body> Opened<B> {
    /// Opens the first piece of `plan` that reads media; `None` when none does.
    ///
    /// # Errors
    /// Why a read cannot be opened.
    pub async fn next<O: Origin<Body = B>>(
        origin: &O,
        plan: impl Iterator<Item = &Send>,
    ) -> Result<Option<Self>, Problem> {
        for send in plan {
            match send {
                Send::Bytes(_) => {}
                Send::Read { object, range, .. } => {
                    return origin.open(object, range.clone()).await.map(|body| Some(Self::Read(body)));
                }
                Send::Make { recipe, range } => {
                    let making = Making::open(origin, recipe.clone(), range.clone()).await?;
                    return Ok(Some(Self::Make(Box::new(making))));
                }
            }
        }
        Ok(None)
    }
}

/// A body on its way, whose first reads have been opened already.
pub struct Transfer<P: Platform> {
    media: Media<P>,
    plan: VecDeque<Send>,
    first: Opened<P::Body>,
}

impl<P: Platform> Transfer<P> {
    /// A body with `plan`; `first` is what [`Opened::next`] gave for it.
    pub fn new(media: Media<P>, plan: Vec<Send>, first: Opened<P::Body>) -> Self {
        Self { media, plan: plan.into(), first }
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// [`Broken`]; then what was sent is not the whole body, and the receiver has to be told.
    pub async fn run(self, sink: &mut impl Sink) -> Result<(), Broken> {
        execute(&self.media, self.plan, Some(self.first), sink).await
    }
}

/// Sends what `plan` says. While one piece is passed on or made, the reads of the next one are opened. `opened` is what
/// [`Opened::next`] gave for `plan`, if it was asked.
///
/// # Errors
/// See [`Transfer::run`].
pub async fn execute<O: Origin>(
    origin: &O,
    mut plan: VecDeque<Send>,
    mut opened: Option<Opened<O::Body>>,
    sink: &mut impl Sink,
) -> Result<(), Broken> {
    let failed = |problem: Problem| Broken::Origin(problem.detail);
    // Bytes of ours wait here until a read begins: they go out while its first bytes are awaited.
    let mut ready = Vec::new();
    while let Some(send) = plan.pop_front() {
        if let Send::Bytes(bytes) = send {
            append(&mut ready, bytes);
            continue;
        }
        if opened.is_none() {
            opened = Opened::next(origin, core::iter::once(&send)).await.map_err(failed)?;
        }
        let next = Opened::next(origin, plan.iter());
        let (left, next) = match (send, opened.take()) {
            (Send::Read { range, keep, .. }, Some(Opened::Read(body))) => {
                join(pass_on(body, range, keep, ready, sink), next).await
            }
            (Send::Make { .. }, Some(Opened::Make(making))) => join(making.run(origin, ready, sink), next).await,
            _ => return Err(Broken::Origin("another piece of the body was opened than is sent".to_owned())),
        };
        ready = left?;
        opened = next.map_err(failed)?;
    }
    if !ready.is_empty() {
        sink.send(ready).await.map_err(|_| Broken::Closed)?;
    }
    Ok(())
}

/// Appends without a copy when nothing waits yet and nobody else holds `bytes`.
fn append(ready: &mut Vec<u8>, bytes: Bytes) {
    if ready.is_empty() {
        *ready = bytes.into();
    } else {
        ready.extend_from_slice(&bytes);
    }
}

/// Sends `ready` and then what is kept of `body`, one piece being sent while the next one arrives. Gives back what is
/// still to be sent.
async fn pass_on<B: Body>(
    mut body: B,
    range: Range<u64>,
    keep: Vec<Keep>,
    mut ready: Vec<u8>,
    sink: &mut impl Sink,
) -> Result<Vec<u8>, Broken> {
    let mut cutter = Cutter::new(range, keep);
    let mut spare = Vec::new();
    loop {
        let send = async { if ready.is_empty() { Ok(ready) } else { sink.send(ready).await } };
        let (sent, chunk) = join(send, body.chunk(spare)).await;
        spare = sent.map_err(|_| Broken::Closed)?;
        spare.clear();
        match chunk.map_err(Broken::Origin)? {
            Some(chunk) => ready = cutter.cut(chunk)?,
            None => return cutter.finish(),
        }
    }
}

/// Keeps of the bytes of one read what is to be sent, and puts bytes of ours in between.
struct Cutter {
    at: u64,
    end: u64,
    keep: VecDeque<Keep>,
}

impl Cutter {
    fn new(range: Range<u64>, keep: Vec<Keep>) -> Self {
        Self { at: range.start, end: range.end, keep: keep.into() }
    }

    fn cut(&mut self, chunk: Vec<u8>) -> Result<Vec<u8>, Broken> {
        let start = self.at;
        let end = start.saturating_add(chunk.len() as u64);
        if end > self.end {
            return Err(Broken::Origin("the origin sent more than it was asked for".to_owned()));
        }
        self.at = end;
        if let Some(Keep::Range(kept)) = self.keep.front()
            && kept.start <= start
            && end < kept.end
        {
            return Ok(chunk);
        }
        let mut out = Vec::with_capacity(chunk.len());
        while let Some(keep) = self.keep.pop_front() {
            match keep {
                Keep::Bytes(bytes) => out.extend_from_slice(&bytes),
                Keep::Range(kept) => {
                    let wanted = kept.start.max(start)..kept.end.min(end);
                    if wanted.start < wanted.end {
                        let (from, to) = ((wanted.start - start) as usize, (wanted.end - start) as usize);
                        out.extend_from_slice(chunk.get(from..to).unwrap_or_default());
                    }
                    if kept.end > end {
                        self.keep.push_front(Keep::Range(kept));
                        break;
                    }
                }
            }
        }
        Ok(out)
    }

    /// What is left to be sent once the read has ended.
    fn finish(self) -> Result<Vec<u8>, Broken> {
        if self.at != self.end {
            let missing = self.end - self.at;
            return Err(Broken::Origin(format!("the origin ended {missing} bytes early")));
        }
        let mut out = Vec::new();
        for keep in self.keep {
            if let Keep::Bytes(bytes) = keep {
                append(&mut out, bytes);
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::executor::block_on;
    use packager::response::{Part, plan};

    use super::*;
    use crate::platform::Closed;

    struct Store {
        media: Vec<u8>,
        chunk: usize,
        /// Bytes after which the reads end, and whether with an error.
        cut: Option<(usize, bool)>,
        opened: RefCell<Vec<Range<u64>>>,
    }

    struct Chunks(VecDeque<Result<Vec<u8>, String>>);

    impl Body for Chunks {
        async fn chunk(&mut self, _: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
            self.0.pop_front().transpose()
        }
    }

    impl Origin for Store {
        type Body = Chunks;

        async fn open(&self, _: &SourceObject, range: Range<u64>) -> Result<Chunks, Problem> {
            self.opened.borrow_mut().push(range.clone());
            let mut bytes = &self.media[range.start as usize..range.end as usize];
            if let Some((at, _)) = self.cut {
                bytes = &bytes[..at.min(bytes.len())];
            }
            let mut chunks: VecDeque<_> = bytes.chunks(self.chunk).map(|c| Ok(c.to_vec())).collect();
            if let Some((_, true)) = self.cut {
                chunks.push_back(Err("connection reset".to_owned()));
            }
            Ok(Chunks(chunks))
        }
    }

    #[derive(Default)]
    struct Received {
        bytes: Vec<u8>,
        closes_after: Option<usize>,
    }

    impl Sink for Received {
        async fn send(&mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Closed> {
            assert!(!bytes.is_empty(), "an empty piece only costs a call");
            if self.closes_after.is_some_and(|n| self.bytes.len() >= n) {
                return Err(Closed);
            }
            self.bytes.append(&mut bytes);
            Ok(bytes)
        }
    }

    fn ours(text: &'static str) -> Part {
        Part::Bytes(Bytes::from_static(text.as_bytes()))
    }

    fn source(range: Range<u64>) -> Part {
        Part::Source { object: Arc::new(SourceObject { path: "a".into(), bytes: 600_000, etag: None }), range }
    }

    fn store(chunk: usize) -> Store {
        let media = (0..600_000u32).map(|n| (n % 251) as u8).collect();
        Store { media, chunk, cut: None, opened: RefCell::default() }
    }

    fn flat(parts: &[Part], media: &[u8]) -> Vec<u8> {
        let piece = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.to_vec(),
            Part::Source { range, .. } => media[range.start as usize..range.end as usize].to_vec(),
            Part::Made { .. } => panic!("nothing is made here"),
        };
        parts.iter().flat_map(piece).collect()
    }

    #[test]
    fn any_plan_gives_the_bytes_of_its_parts_whatever_the_pieces_are() {
        let lists = [
            vec![ours("moof"), source(10..20)],
            vec![ours("a"), ours("b"), source(10..20), ours("c"), source(20..30), ours("d"), source(35..50), ours("e")],
            vec![source(0..1), source(5..6), source(9..10), ours("z")],
            vec![ours("m"), source(100..200), source(500_000..500_100), ours("n"), source(0..50), ours("o")],
            vec![ours("only")],
        ];
        for parts in lists {
            for chunk in [1, 2, 3, 7, 10, 64, 100_000] {
                let store = store(chunk);
                let expected = flat(&parts, &store.media);
                let mut sink = Received::default();
                block_on(execute(&store, plan(parts.clone()).into(), None, &mut sink)).unwrap();
                assert_eq!(sink.bytes, expected, "{parts:?} in pieces of {chunk}");
            }
        }
    }

    #[test]
    fn each_read_is_opened_once_and_the_first_may_be_given() {
        let store = store(16);
        let plan = plan(vec![source(0..100), source(500_000..500_010)]);
        let first = block_on(Opened::next(&store, plan.iter())).unwrap();
        let mut sink = Received::default();
        block_on(execute(&store, plan.into(), first, &mut sink)).unwrap();
        assert_eq!(*store.opened.borrow(), [0..100, 500_000..500_010]);
        assert_eq!(sink.bytes.len(), 110);
    }

    #[test]
    fn an_origin_that_ends_early_or_fails_breaks_the_body() {
        for (cut, words) in
            [((50, false), "50 bytes early"), ((50, true), "connection reset"), ((0, false), "100 bytes")]
        {
            let store = Store { cut: Some(cut), ..store(16) };
            let mut sink = Received::default();
            let parts = vec![ours("head"), source(0..100)];
            let broken = block_on(execute(&store, plan(parts).into(), None, &mut sink)).unwrap_err();
            assert!(matches!(&broken, Broken::Origin(text) if text.contains(words)), "{broken:?}");
            assert!(sink.bytes.starts_with(b"head") && sink.bytes.len() <= 54);
        }
    }

    #[test]
    fn more_than_was_asked_for_is_not_passed_on() {
        let mut cutter = Cutter::new(0..10, vec![Keep::Range(0..10)]);
        assert_eq!(cutter.cut(vec![1; 10]).unwrap(), vec![1; 10]);
        assert!(cutter.cut(vec![1]).is_err());
    }

    #[test]
    fn a_receiver_that_goes_away_ends_the_reads() {
        let store = store(16);
        let mut sink = Received { closes_after: Some(20), ..Received::default() };
        let parts = vec![source(0..1000)];
        assert_eq!(block_on(execute(&store, plan(parts).into(), None, &mut sink)), Err(Broken::Closed));
    }
}
