//! What shaka-packager says about the protection of a track, against what we say.
//!
//! They agree but for three things:
//!
//! * **cenc, what is left over of a run that is no multiple of 16 bytes.** Protected runs are whole blocks (CMAF and the
//!   bindings of AV1 and VP9 demand it), so up to 15 bytes of each slice, tile or frame stay clear. Ours are in front of the
//!   run, which ends with its slice: the binding of AV1 (4.1) has `BytesOfProtectedData` end on the last byte of
//!   `decode_tile`, that of VP9 ("Sample encryption") has the clear bytes in front of the encrypted ones adjusted, and for
//!   NAL units either will do. shaka-packager since 3.5 begins its runs at the first byte after the header, of all codecs,
//!   and leaves the rest clear behind (its #1540; that this is not to be done was found in #1584 and #1599, and #1598 takes
//!   it back after the version that is tested with).
//! * **cbcs of VP9.** Our run is the whole frame after its header; its last bytes, no whole block, stay as they are
//!   (ISO/IEC 23001-7, 10.4.2). shaka-packager counts these bytes among the clear ones, as it applies under cbcs too what
//!   the binding asks for so that the counter of cenc can be computed. The same blocks are encrypted.
//! * **cbcs of sound.** Samples that are protected whole with a constant vector have no auxiliary information: we write no
//!   `senc`, shaka-packager one without anything for its samples; neither writes `saiz` and `saio`.

use std::ops::Range;

use packager::config::Scheme;

use crate::maps::{Boxes, File, Sample};

const BLOCK: usize = 16;

/// A track under both schemes.
pub struct Both {
    pub cenc: File,
    pub cbcs: File,
}

impl Both {
    fn get(&self, scheme: Scheme) -> &File {
        if scheme == Scheme::Cenc { &self.cenc } else { &self.cbcs }
    }
}

/// Compares all that is said; in how many samples what is left over stands elsewhere, or what differs beyond it.
pub fn compare(scheme: Scheme, ours: &Both, theirs: &Both) -> Result<usize, String> {
    let (our, their) = (ours.get(scheme), theirs.get(scheme));
    let description = our.description.as_ref().ok_or("ours is not protected")?;
    if their.description.as_ref() != Some(description) {
        return Err(format!("{description:?} is theirs {:?}", their.description));
    }
    check_boxes(scheme, &description.entry, our, their)?;
    if our.samples.len() != their.samples.len() {
        return Err(format!("{} samples, theirs {}", our.samples.len(), their.samples.len()));
    }
    let vp9 = &description.original == b"vp09";
    let mut elsewhere = 0;
    for (number, ((our, their), stretches)) in
        our.samples.iter().zip(&their.samples).zip(&ours.cbcs.samples).enumerate()
    {
        // Under cbcs runs are the slices, tiles or frames without their headers, which both find alike.
        let (wanted, theirs) = match scheme {
            _ if &description.entry == b"enca" => (Vec::new(), Vec::new()),
            Scheme::Cbcs if vp9 => {
                check_frames(our).map_err(|error| format!("sample {number}: {error}"))?;
                (our.subsamples.clone(), entries(stretches, begins_with_its_frame))
            }
            Scheme::Cbcs => (their.subsamples.clone(), our.subsamples.clone()),
            _ => (entries(stretches, ends_with_its_slice), entries(stretches, begins_with_its_frame)),
        };
        for (who, found, wanted) in [("ours", our, &wanted), ("theirs", their, &theirs)] {
            if found.subsamples != *wanted {
                return Err(format!("sample {number}, {who}: {:?} for {wanted:?}", found.subsamples));
            }
        }
        elsewhere += usize::from(our.subsamples != their.subsamples);
    }
    Ok(elsewhere)
}

fn check_boxes(scheme: Scheme, entry: &[u8; 4], ours: &File, theirs: &File) -> Result<(), String> {
    let all = Boxes { senc: true, saiz: true, saio: true };
    let (our, their) = match (scheme, entry) {
        (Scheme::Cbcs, b"enca") => (Boxes::default(), Boxes { senc: true, ..Boxes::default() }),
        _ => (all, all),
    };
    for (who, found, wanted) in [("ours", &ours.boxes, our), ("theirs", &theirs.boxes, their)] {
        if let Some(odd) = found.iter().find(|boxes| **boxes != wanted) {
            return Err(format!("{who}: {odd:?} for {wanted:?}"));
        }
    }
    Ok(())
}

fn ends_with_its_slice(run: &Range<usize>) -> Range<usize> {
    run.start + run.len() % BLOCK..run.end
}

fn begins_with_its_frame(run: &Range<usize>) -> Range<usize> {
    run.start..run.end - run.len() % BLOCK
}

/// The entries of a sample when its runs are cut to whole blocks: as few as can be.
fn entries(sample: &Sample, cut: impl Fn(&Range<usize>) -> Range<usize>) -> Vec<(u16, u32)> {
    let mut runs: Vec<_> = sample.runs().iter().map(cut).filter(|run| !run.is_empty()).collect();
    let end = sample.data.len();
    if runs.last().is_none_or(|run| run.end < end) {
        runs.push(end..end);
    }
    let mut entries = Vec::new();
    let mut at = 0;
    for run in runs {
        let mut clear = run.start - at;
        while clear > usize::from(u16::MAX) {
            entries.push((u16::MAX, 0));
            clear -= usize::from(u16::MAX);
        }
        entries.push((clear as u16, run.len() as u32));
        at = run.end;
    }
    entries
}

/// Whether each run of a VP9 sample ends with a frame: the index of a superframe (VP9, annex B) says where those end.
fn check_frames(sample: &Sample) -> Result<(), String> {
    let data = &sample.data;
    let marker = data.last().copied().unwrap_or_default();
    let mut ends = vec![data.len()];
    if marker & 0xe0 == 0xc0 {
        let (bytes, count) = (usize::from(marker >> 3 & 3) + 1, usize::from(marker & 7) + 1);
        let index = &data[data.len() - 2 - bytes * count..];
        if index[0] == marker {
            let size = |size: &[u8]| size.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
            let sizes = index[1..1 + bytes * count].chunks(bytes).map(size);
            ends = sizes.scan(0, |at, size| Some(*at + size).inspect(|end| *at = *end)).collect();
        }
    }
    let odd = sample.runs().into_iter().find(|run| !ends.contains(&run.end));
    odd.map_or(Ok(()), |run| Err(format!("a run {run:?} among frames that end at {ends:?}")))
}
