//! Learns what is in segments, and takes frames out again by what was learned.

use std::ops::Range;

use packager::Result;
use packager::source::transport::{ElementaryStream, Extractor, Frame, Place, TransportReader};

/// A frame as it was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    pub config: usize,
    pub pts: u64,
    pub dts: u64,
    pub offset_samples: u32,
    pub estimated: bool,
    pub sync: bool,
    pub open: bool,
    pub duration_samples: u32,
    pub data: Vec<u8>,
    pub place: Place,
}

/// What was learned of a rendition.
pub struct Rendition {
    pub streams: Vec<ElementaryStream>,
    /// Of each stream.
    pub frames: Vec<Vec<Learned>>,
    pub warnings: Vec<String>,
}

impl Rendition {
    fn add(&mut self, frame: &Frame<'_>) {
        if self.frames.len() <= frame.stream {
            self.frames.resize_with(frame.stream + 1, Vec::new);
        }
        self.frames[frame.stream].push(Learned {
            config: frame.config,
            pts: frame.pts,
            dts: frame.dts,
            offset_samples: frame.offset_samples,
            estimated: frame.estimated,
            sync: frame.sync,
            open: frame.open,
            duration_samples: frame.duration_samples,
            data: frame.data.to_vec(),
            place: frame.place.clone(),
        });
    }
}

/// A segment: whether the playlist says that it is discontinuous, and its bytes.
pub type Segment<'a> = (bool, &'a [u8]);

/// Reads segments, pushed in chunks of these sizes over and over.
pub fn learn(segments: &[Segment<'_>], chunks: &[usize]) -> Result<Rendition> {
    let mut reader = TransportReader::new();
    let mut found = Rendition { streams: Vec::new(), frames: Vec::new(), warnings: Vec::new() };
    let mut sizes = chunks.iter().cycle();
    let result = (|| {
        for (discontinuity, bytes) in segments {
            reader.segment(*discontinuity, &mut |f| found.add(&f))?;
            let mut rest = *bytes;
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                reader.push(chunk, &mut |f| found.add(&f))?;
                rest = after;
            }
        }
        reader.finish(&mut |f| found.add(&f))
    })();
    found.warnings = reader.warnings();
    found.streams = reader.streams().to_vec();
    found.frames.resize_with(found.streams.len(), Vec::new);
    for (stream, frames) in found.streams.iter().zip(&found.frames) {
        assert_eq!(stream.frames, frames.len() as u64);
        assert!(frames.iter().all(|f| f.config < stream.configs.len() || stream.configs.is_empty()));
    }
    result.map(|()| found)
}

/// Takes frames of one run out, reading in chunks of `chunk` bytes.
pub fn extract(bytes: &[u8], stream: &ElementaryStream, frames: &[Learned], chunk: usize) -> Result<Vec<Vec<u8>>> {
    let place = &frames[0].place;
    let range = place.packets.start as usize..frames.last().unwrap().place.packets.end as usize;
    let mut extractor = Extractor::new(place.pid, stream.codec, place.skip);
    let (mut wanted, mut out) = (frames.iter().peekable(), Vec::new());
    let mut take = |extractor: &mut Extractor| -> Result<()> {
        while let Some(frame) = wanted.peek() {
            let mut sample = vec![0xee];
            if !extractor.next(frame.data.len() as u32, &mut sample)? {
                assert_eq!(sample, [0xee], "nothing is appended before a sample is whole");
                break;
            }
            wanted.next();
            out.push(sample[1..].to_vec());
        }
        Ok(())
    };
    for chunk in bytes[range].chunks(chunk) {
        extractor.push(chunk)?;
        take(&mut extractor)?;
    }
    extractor.finish();
    take(&mut extractor)?;
    assert!(wanted.next().is_none(), "finish says that all is there, or fails");
    Ok(out)
}

/// Where runs of a stream begin and end.
pub fn runs(frames: &[Learned]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if frames[run.start].place.run == frame.place.run => run.end = index + 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

/// Every frame comes out of its place alone, and of whole runs, and of parts of runs, exactly as it was learned.
pub fn check_extraction(bytes: &[u8], rendition: &Rendition, name: &str) {
    for (stream, frames) in rendition.streams.iter().zip(&rendition.frames) {
        let check = |part: Range<usize>, chunk: usize| {
            let wanted: Vec<&Vec<u8>> = frames[part.clone()].iter().map(|f| &f.data).collect();
            let found = extract(bytes, stream, &frames[part.clone()], chunk);
            let found = found.unwrap_or_else(|e| panic!("{name}: {:?} frames {part:?}: {e}", stream.codec));
            assert!(found.iter().eq(wanted), "{name}: {:?} frames {part:?} in chunks of {chunk}", stream.codec);
        };
        for index in 0..frames.len() {
            check(index..index + 1, if index % 2 == 0 { 188 } else { 1 << 20 });
        }
        for run in runs(frames) {
            for chunk in [188, 1000, 1 << 20] {
                check(run.clone(), chunk);
            }
            for start in run.clone().step_by(7) {
                check(start..run.end.min(start + 11), 4096);
            }
        }
    }
}
