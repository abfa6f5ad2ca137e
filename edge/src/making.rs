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
            spare = self.maker.supply(number, chunk?).map_err(broken)?;
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use bytes::Bytes;
    use futures::executor::block_on;
    use packager::config::SourceObject;
    use packager::index::block::Sample;
    use packager::make::{Program, Read, Section, Share, Stream};
    use packager::response::{Part, plan};

    use super::*;
    use crate::problem::Kind;
    use crate::transfer::{Opened, execute};

    /// Objects `a` and `b`, which are sent in pieces.
    struct Store {
        objects: BTreeMap<&'static str, Vec<u8>>,
        piece: usize,
        /// The object whose reads end early, and after how many bytes.
        short: Option<(&'static str, usize)>,
        gone: Option<&'static str>,
        opened: RefCell<Vec<(String, Range<u64>)>>,
        /// Bytes that were taken, over all reads.
        taken: Rc<Cell<usize>>,
    }

    struct Pieces {
        left: Vec<Vec<u8>>,
        taken: Rc<Cell<usize>>,
    }

    impl Body for Pieces {
        async fn chunk(&mut self, mut buffer: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
            assert!(buffer.is_empty(), "an emptied buffer");
            let Some(piece) = self.left.pop() else { return Ok(None) };
            self.taken.set(self.taken.get() + piece.len());
            buffer.extend_from_slice(&piece);
            Ok(Some(buffer))
        }
    }

    impl Origin for Store {
        type Body = Pieces;

        async fn open(&self, object: &SourceObject, range: Range<u64>) -> Result<Pieces, Problem> {
            self.opened.borrow_mut().push((object.path.clone(), range.clone()));
            if self.gone.is_some_and(|gone| gone == object.path) {
                return Err(Problem::new(Kind::Unavailable, format!("{} is gone", object.path)));
            }
            let mut bytes = &self.objects[object.path.as_str()][range.start as usize..range.end as usize];
            if let Some((path, length)) = self.short
                && path == object.path
            {
                bytes = &bytes[..length];
            }
            let left = bytes.chunks(self.piece).rev().map(<[u8]>::to_vec).collect();
            Ok(Pieces { left, taken: self.taken.clone() })
        }
    }

    /// What was received, and at most how much had been taken from the origin and not been sent by then.
    struct Received {
        bytes: Vec<u8>,
        closes_after: usize,
        taken: Rc<Cell<usize>>,
        ahead: usize,
    }

    impl Sink for Received {
        async fn send(&mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Closed> {
            assert!(!bytes.is_empty(), "an empty piece only costs a call");
            self.ahead = self.ahead.max(self.taken.get().saturating_sub(self.bytes.len()));
            if self.bytes.len() >= self.closes_after {
                return Err(Closed);
            }
            self.bytes.append(&mut bytes);
            Ok(bytes)
        }
    }

    fn store(piece: usize) -> Store {
        let bytes = |factor: u32| (0..400_000u32).map(|n| (n.wrapping_mul(factor) >> 3) as u8).collect();
        let objects = BTreeMap::from([("a", bytes(7)), ("b", bytes(11))]);
        Store { objects, piece, short: None, gone: None, opened: RefCell::default(), taken: Rc::default() }
    }

    fn received(store: &Store) -> Received {
        Received { bytes: Vec::new(), closes_after: usize::MAX, taken: store.taken.clone(), ahead: 0 }
    }

    /// A head, samples of 100 bytes out of the end of `a` and the start of `b`, a head, and samples out of `b`.
    fn recipe(samples: usize) -> (Arc<Recipe>, Vec<u8>) {
        let store = store(1);
        let object = |path: &str| Arc::new(SourceObject { path: path.into(), bytes: 400_000, etag: None });
        let (a, b) = (object("a"), object("b"));
        let half = 100 * samples as u64;
        let read =
            |object: &Arc<SourceObject>, range| Read { object: object.clone(), range, pid: 0, skip: None, samples: 0 };
        let stream = Stream {
            carriage: None,
            reads: vec![read(&a, 400_000 - half..400_000), read(&b, 0..half), read(&b, half..3 * half)],
            samples: vec![Sample { size: 100, duration: 1, composition_offset: 0, sync: true }; 4 * samples],
            annex_b: Vec::new(),
            subsamples: Vec::new(),
            subsample_ends: Vec::new(),
        };
        let share = |samples, reads| vec![Share { samples, reads }];
        let (a, b) = (&store.objects["a"], &store.objects["b"]);
        let half = half as usize;
        let whole = [b"head", &a[400_000 - half..], &b[..half], b"more", &b[half..3 * half]].concat();
        let sections = vec![
            Section { start: 0, head: Bytes::from_static(b"head"), shares: share(0..2 * samples, 0..2) },
            Section {
                start: 4 + 2 * half as u64,
                head: Bytes::from_static(b"more"),
                shares: share(2 * samples..4 * samples, 2..3),
            },
        ];
        let recipe = Recipe {
            streams: vec![stream],
            program: Program::Plain,
            sections,
            bytes: whole.len() as u64,
            envelope: None,
        };
        (Arc::new(recipe), whole)
    }

    fn send(store: &Store, parts: Vec<Part>, sink: &mut Received) -> Result<(), Broken> {
        block_on(execute(store, plan(parts).into(), None, sink))
    }

    #[test]
    fn any_range_in_any_pieces_is_that_range_of_the_whole() {
        let (recipe, whole) = recipe(20);
        let length = whole.len() as u64;
        for piece in [1, 7, 100, 4096, 1 << 20] {
            for range in [0..length, 0..1, 3..5, 1000..3999, 4003..4010, length - 1..length, 5000..length] {
                let store = store(piece);
                let mut sink = received(&store);
                let parts = vec![
                    Part::Bytes(Bytes::from_static(b"before")),
                    Part::Made { recipe: recipe.clone(), range: range.clone() },
                    Part::Bytes(Bytes::from_static(b"after")),
                ];
                send(&store, parts, &mut sink).unwrap();
                let expected = [b"before", &whole[range.start as usize..range.end as usize], b"after"].concat();
                assert!(sink.bytes == expected, "{range:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn no_more_is_taken_than_what_is_being_sent_needs() {
        let (recipe, whole) = recipe(1000);
        let store = store(4096);
        let mut sink = received(&store);
        send(&store, vec![Part::Made { recipe, range: 0..whole.len() as u64 }], &mut sink).unwrap();
        assert!(sink.bytes == whole);
        assert!(sink.ahead <= 128 << 10, "{} bytes were taken and not sent", sink.ahead);
    }

    #[test]
    fn every_read_is_opened_before_the_answer_begins_and_once() {
        let (recipe, whole) = recipe(10);
        let made = |recipe: &Arc<Recipe>, range| plan(vec![Part::Made { recipe: recipe.clone(), range }]);
        let store = store(64);
        let plan = made(&recipe, 0..whole.len() as u64);
        let first = block_on(Opened::next(&store, plan.iter())).map_err(|problem| problem.detail).unwrap();
        let all = [("a".to_owned(), 399_000..400_000), ("b".to_owned(), 0..3000)];
        assert_eq!(*store.opened.borrow(), all);
        let mut sink = received(&store);
        block_on(execute(&store, plan.into(), first, &mut sink)).unwrap();
        assert_eq!(*store.opened.borrow(), all);
        assert!(sink.bytes == whole);

        let gone = Store { gone: Some("b"), ..super::tests::store(64) };
        let plan = made(&recipe, 0..whole.len() as u64);
        let problem = block_on(Opened::next(&gone, plan.iter())).err().map(|problem| problem.detail);
        assert_eq!(problem.as_deref(), Some("b is gone"));
    }

    #[test]
    fn a_read_that_ends_early_breaks_the_body_and_is_named() {
        let (recipe, whole) = recipe(10);
        for short in [0, 1, 500] {
            let store = Store { short: Some(("b", short)), ..store(64) };
            let mut sink = received(&store);
            let parts = vec![Part::Made { recipe: recipe.clone(), range: 0..whole.len() as u64 }];
            let broken = send(&store, parts, &mut sink).unwrap_err();
            assert!(matches!(&broken, Broken::Origin(why) if why == "b: the origin ended early"), "{broken:?}");
            assert!(whole.starts_with(&sink.bytes));
        }
    }

    #[test]
    fn a_receiver_that_goes_away_ends_the_reads() {
        let (recipe, whole) = recipe(1000);
        let store = store(4096);
        let mut sink = Received { closes_after: 50_000, ..received(&store) };
        let parts = vec![Part::Made { recipe, range: 0..whole.len() as u64 }];
        assert_eq!(send(&store, parts, &mut sink), Err(Broken::Closed));
        assert!(store.taken.get() < 300_000, "{} bytes were taken", store.taken.get());
    }
}
