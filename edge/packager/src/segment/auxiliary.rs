//! What a `traf` says of the encryption of its samples (ISO/IEC 23001-7, 7): `sbgp`, `sgpd`, `saiz`, `saio`, `senc`.

use core::ops::Range;

use super::gather::Gathered;
use crate::bytes::writer::Writer;
use crate::cenc::subsample::{Alignment, Subsample};
use crate::cenc::{self, Cipher, Mode};
use crate::config::{Iv, Kid, Scheme};
use crate::error::{Error, Result};
use crate::index::{Fragment, Track};
use crate::media::protection::SegmentProtection;
use crate::media::segmenter::Segment;

/// What the samples of a `traf` come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub samples: u64,
    pub bytes: u64,
    pub subsamples: u64,
}

/// Where the boxes stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// What they describe.
    pub totals: Totals,
    /// Their end, from the start of the `moof`.
    pub end: u64,
}

/// Which of the boxes a segment has: the same in every fragment of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Auxiliary {
    /// Bytes of the initialisation vector of each sample: 8 under cenc.
    iv_bytes: u64,
    /// Whether samples have subsamples, and how they are aligned.
    alignment: Option<Alignment>,
    /// The entry of the sample group that names the key, if it has to be named.
    group: Option<Group>,
}

/// What `seig` says.
#[derive(Clone, Copy, Debug)]
struct Group {
    kid: Kid,
    scheme: Scheme,
    iv: Option<Iv>,
    video: bool,
}

/// Full box header.
const HEADER: u64 = 12;
/// `saio` with one offset of 32 bits.
const SAIO: u64 = HEADER + 8;
/// `sbgp` with one run.
const SBGP: u64 = HEADER + 4 + 4 + 8;
/// `sgpd`, version 1, up to its entry.
const SGPD: u64 = HEADER + 4 + 4 + 4;
/// Entries of groups that are described in the `traf` itself count from here (ISO/IEC 14496-12, 8.9.4).
const LOCAL_GROUP: u32 = 0x1_0001;

impl Auxiliary {
    /// Nothing: the samples are in the clear.
    pub const NONE: Self = Self { iv_bytes: 0, alignment: None, group: None };

    /// That of a segment.
    pub fn of(track: &Track, protection: SegmentProtection<'_>) -> Self {
        let Some(key) = protection.key else { return Self::NONE };
        let group = Group { kid: key.kid, scheme: protection.scheme, iv: key.iv, video: track.is_video() };
        let (iv_bytes, alignment) = match protection.scheme {
            Scheme::Cenc => (8, Alignment::Blocks),
            Scheme::Cbcs | Scheme::Aes128 | Scheme::SampleAes => (0, Alignment::Bytes),
        };
        Self { iv_bytes, alignment: track.stretches.then_some(alignment), group: protection.named.then_some(group) }
    }

    /// How subsamples are aligned, if there are any.
    pub fn alignment(self) -> Option<Alignment> {
        self.alignment
    }

    /// How many subsamples the samples of a fragment have.
    pub fn subsamples_of(self, fragment: &Fragment) -> u32 {
        match self.alignment {
            None => 0,
            Some(Alignment::Bytes) => fragment.cbcs_subsamples,
            Some(Alignment::Blocks) => fragment.cenc_subsamples,
        }
    }

    /// Whether samples have auxiliary information: not under cbcs when they are encrypted as a whole.
    fn informs(self) -> bool {
        self.iv_bytes > 0 || self.alignment.is_some()
    }

    fn saiz_bytes(self, samples: u64) -> u64 {
        HEADER + 5 + if self.alignment.is_some() { samples } else { 0 }
    }

    fn senc_bytes(self, totals: Totals) -> u64 {
        let counts = if self.alignment.is_some() { 2 * totals.samples } else { 0 };
        HEADER + 4 + totals.samples * self.iv_bytes + counts + 6 * totals.subsamples
    }

    /// Length of all boxes.
    pub fn bytes(self, totals: Totals) -> u64 {
        let group = self.group.map_or(0, |g| SBGP + SGPD + g.entry_bytes());
        let information =
            if self.informs() { self.saiz_bytes(totals.samples) + SAIO + self.senc_bytes(totals) } else { 0 };
        group + information
    }

    /// Writes the boxes for `samples` of what was gathered.
    ///
    /// # Errors
    /// `Unsupported` when a sample has more subsamples than `saiz` can count, `BadSource` when they are missing.
    pub fn write(
        self,
        out: &mut Vec<u8>,
        cipher: &Cipher,
        gathered: &Gathered,
        samples: Range<usize>,
        place: Place,
    ) -> Result<()> {
        if let Some(group) = self.group {
            write_groups(out, group, place.totals.samples);
        }
        if !self.informs() {
            return Ok(());
        }
        let subsamples = |sample: usize| -> Result<&[Subsample]> {
            let ends = &gathered.subsample_ends;
            let start = sample.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied());
            let range = start.zip(ends.get(sample).copied()).map(|(start, end)| start as usize..end as usize);
            let found = range.and_then(|range| gathered.subsamples.get(range));
            found.ok_or_else(|| Error::bad_source("index: a sample without subsamples"))
        };
        out.u32(self.saiz_bytes(place.totals.samples) as u32);
        out.extend_from_slice(b"saiz");
        out.u32(0);
        out.push(if self.alignment.is_some() { 0 } else { self.iv_bytes as u8 });
        out.u32(place.totals.samples as u32);
        if self.alignment.is_some() {
            for sample in samples.clone() {
                let bytes = self.iv_bytes as usize + 2 + 6 * subsamples(sample)?.len();
                let bytes = u8::try_from(bytes).map_err(|_| {
                    Error::unsupported("a sample has more clear bytes than its auxiliary information can describe")
                })?;
                out.push(bytes);
            }
        }
        out.full_box(b"saio", 0, 0, |b| {
            b.u32(1);
            // From the start of the moof to the first sample's information in senc.
            b.u32((place.end - self.senc_bytes(place.totals) + HEADER + 4) as u32);
        });
        const HAS_SUBSAMPLES: u32 = 2;
        out.u32(self.senc_bytes(place.totals) as u32);
        out.extend_from_slice(b"senc");
        out.u32(if self.alignment.is_some() { HAS_SUBSAMPLES } else { 0 });
        out.u32(place.totals.samples as u32);
        for sample in samples {
            if let Some(iv) = cipher.mode.sample_iv(sample) {
                out.u64(iv);
            }
            if self.alignment.is_some() {
                let own = subsamples(sample)?;
                out.u16(own.len() as u16);
                for subsample in own {
                    out.u16(subsample.clear);
                    out.u32(subsample.protected);
                }
            }
        }
        Ok(())
    }
}

impl Group {
    fn entry_bytes(&self) -> u64 {
        20 + if self.iv.is_some() { 17 } else { 0 }
    }
}

/// One group of all samples, described in the `traf` itself.
fn write_groups(out: &mut Vec<u8>, group: Group, samples: u64) {
    out.full_box(b"sgpd", 1, 0, |b| {
        b.extend_from_slice(b"seig");
        b.u32(group.entry_bytes() as u32);
        b.u32(1);
        b.push(0);
        write_description(b, group.scheme, group.video, group.kid, group.iv);
    });
    out.full_box(b"sbgp", 0, 0, |b| {
        b.extend_from_slice(b"seig");
        b.u32(1);
        b.u32(samples as u32);
        b.u32(LOCAL_GROUP);
    });
}

/// What `tenc` and `seig` have in common, from the pattern on (ISO/IEC 23001-7, 6 and 8.2).
pub(super) fn write_description(out: &mut Vec<u8>, scheme: Scheme, video: bool, kid: Kid, iv: Option<Iv>) {
    let (crypt, skip) = if scheme == Scheme::Cbcs && video { cenc::VIDEO_PATTERN } else { (0, 0) };
    out.push(crypt << 4 | skip);
    const PROTECTED: u8 = 1;
    out.push(PROTECTED);
    out.push(if iv.is_some() { 0 } else { 8 });
    out.extend_from_slice(&kid.0);
    if let Some(iv) = iv {
        out.push(16);
        out.extend_from_slice(&iv.0);
    }
}

/// What the samples of a segment are encrypted with; nothing when it is in the clear.
///
/// # Errors
/// `Unsupported` for video whose slices were not found, `Internal` for a key without its initialisation vector.
pub(super) fn cipher(
    track: &Track,
    protection: SegmentProtection<'_>,
    segment: &Segment,
    (salt, taken): (&str, u64),
) -> Result<Option<Cipher>> {
    let Some(key) = protection.key else { return Ok(None) };
    if track.is_video() && !track.stretches {
        return Err(Error::unsupported(format!("track {}: {} cannot be encrypted", track.name, track.codec)));
    }
    let mode = match protection.scheme {
        Scheme::Cenc => {
            let (base, mask) = cenc::counter_base(key, salt, track.name);
            let before = track.fragments.get(..segment.fragments.start).unwrap_or_default();
            let first = before.iter().map(|f| u64::from(f.samples)).fold(base.wrapping_add(taken), u64::wrapping_add);
            Mode::Counter { first, mask }
        }
        Scheme::Cbcs | Scheme::Aes128 | Scheme::SampleAes => {
            let iv = key.iv.ok_or_else(|| Error::internal(format!("key {} has no initialisation vector", key.kid)))?;
            Mode::Chain { iv, pattern: track.is_video() }
        }
    };
    Ok(Some(Cipher { key: key.clone(), mode }))
}
