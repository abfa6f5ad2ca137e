//! Titles to write: tracks with samples, cut into fragments, and what becomes of them.

#![allow(dead_code, reason = "each of its users needs another part")]

use std::ops::Range;

use packager::segment::recipe::Secret;
use packager::segment::sample_aes::SampleAes;
use packager::segment::ts::{
    self, Audio, Before, Fragment, Muxer, Next, Order, PSI_BYTES, Packets, Program, Tag, Unit,
};

/// A unit and its sample as it is stored.
pub type Sample = (Unit, Vec<u8>);

/// What the tracks have from one cut to the next.
#[derive(Default)]
pub struct Cut {
    pub span: Range<i64>,
    pub video: Vec<Sample>,
    pub audio: Vec<Sample>,
    pub id3: Vec<(Tag, Vec<u8>)>,
}

/// A title.
pub struct Title {
    pub program: Program,
    pub cuts: Vec<Cut>,
}

struct Counted {
    video: Packets,
    audio: Packets,
    id3: Packets,
}

impl Title {
    fn count(&self, cut: &Cut) -> Counted {
        let units = |samples: &[Sample]| samples.iter().map(|(unit, _)| *unit).collect::<Vec<_>>();
        let clock = self.program.video.is_none().then_some(&cut.span);
        Counted {
            video: match self.program.video {
                Some(_) => ts::video_packets(&units(&cut.video), &cut.span),
                None => Packets::default(),
            },
            audio: match &self.program.audio {
                Some(Audio { stream, .. }) => ts::audio_packets(stream, &units(&cut.audio), clock),
                None => Packets::default(),
            },
            id3: cut.id3.iter().map(|(tag, _)| ts::id3_packets(tag)).fold(Packets::default(), |a, b| a + b),
        }
    }

    /// The segments, each made of this many cuts. Every size is what was counted before.
    pub fn segments(&self, cuts: usize) -> Vec<Vec<u8>> {
        self.segments_under(cuts, None)
    }

    /// The same, under SAMPLE-AES where there is a key.
    pub fn segments_under(&self, cuts: usize, secret: Option<&Secret>) -> Vec<Vec<u8>> {
        let mut before = Before::default();
        let mut segments = Vec::new();
        for cuts in self.cuts.chunks(cuts) {
            let mut out = Vec::new();
            let mut muxer = Muxer::new(self.program.clone(), before, secret.map(SampleAes::new));
            muxer.psi(&mut out);
            assert_eq!(out.len() as u64, PSI_BYTES);
            for cut in cuts {
                let start = out.len();
                let counted = self.count(cut);
                self.write(cut, &mut muxer, &mut out);
                let bytes = counted.video.bytes() + counted.audio.bytes() + counted.id3.bytes();
                assert_eq!((out.len() - start) as u64, bytes, "the size of a fragment is known before");
                before.video += counted.video.payload;
                before.audio += counted.audio.payload;
                before.id3 += counted.id3.payload;
            }
            before.segments += 1;
            segments.push(out);
        }
        segments
    }

    fn write(&self, cut: &Cut, muxer: &mut Muxer, out: &mut Vec<u8>) {
        let video: Vec<Unit> = cut.video.iter().map(|s| s.0).collect();
        let audio: Vec<Unit> = cut.audio.iter().map(|s| s.0).collect();
        let id3: Vec<Tag> = cut.id3.iter().map(|t| t.0).collect();
        let fragment = Fragment { span: cut.span.clone(), video: &video, audio: &audio, id3: &id3 };
        let mut order = Order::new(&self.program);
        let start = out.len();
        while let Some(next) = order.next(&fragment) {
            let bytes = match &next {
                Next::Video { unit, .. } => cut.video[*unit].1.clone(),
                Next::Audio { units, .. } => {
                    cut.audio[units.clone()].iter().flat_map(|s| s.1.iter().copied()).collect()
                }
                Next::Id3(tag) => cut.id3[*tag].1.clone(),
                Next::Clock(_) => Vec::new(),
            };
            let first = out.len() == start;
            muxer.write(&next, &fragment, &bytes, out).expect("the bytes that were announced");
            if let (true, Next::Video { unit, .. }) = (first, &next) {
                let packets = ts::access_unit_packets(&video[*unit]);
                assert_eq!((out.len() - start) as u64, 188 * packets, "the bytes of a key frame are known before");
            }
        }
        assert_eq!(order.next(&fragment), None);
    }
}
