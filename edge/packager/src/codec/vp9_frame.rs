//! VP9 uncompressed headers (VP9 Bitstream and Decoding Process Specification clause 6.2): where they end; and superframe
//! indexes (annex B).

use super::scan::Runs;
use crate::bytes::bits::{Bits, Error, Result};

const SLOTS: usize = 8;
const SYNC_CODE: u32 = 0x49_83_42;
/// `color_space` of RGB.
const RGB: u32 = 7;

/// Walks the frames of a track.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// Width of the frame in each reference slot; heights do not matter to headers.
    widths: [Option<u32>; SLOTS],
}

impl Frames {
    /// Adds the runs of one sample: of each frame the uncompressed header is clear and the rest protected; the index of
    /// a superframe is clear.
    pub fn scan(&mut self, sample: &[u8], runs: &mut Runs<'_>, broken: &mut u32) {
        let mut rest = sample;
        if let Some(index) = index_bytes(sample) {
            let frames = sample.len() - index.len();
            let magnitude = index.first().map_or(1, |b| usize::from(b >> 3 & 3) + 1);
            let sizes = index.get(1..index.len() - 1).unwrap_or_default();
            rest = sample.get(..frames).unwrap_or_default();
            for size in sizes.chunks(magnitude) {
                let size = size.iter().rev().fold(0usize, |n, &b| (n << 8) | usize::from(b));
                let Some((frame, after)) = rest.split_at_checked(size) else {
                    *broken = broken.saturating_add(1);
                    runs.clear(rest.len());
                    rest = &[];
                    break;
                };
                self.frame(frame, runs, broken);
                rest = after;
            }
            runs.clear(rest.len() + index.len());
        } else {
            self.frame(rest, runs, broken);
        }
    }

    fn frame(&mut self, frame: &[u8], runs: &mut Runs<'_>, broken: &mut u32) {
        if frame.is_empty() {
            return;
        }
        match self.header(frame) {
            Ok(header) => {
                let header = header.unwrap_or(frame.len()).min(frame.len());
                runs.clear(header);
                runs.protected(frame.len() - header);
            }
            Err(_) => {
                self.widths = [None; SLOTS];
                *broken = broken.saturating_add(1);
                runs.clear(frame.len());
            }
        }
    }

    /// Bytes of the uncompressed header; none for a frame that only shows another.
    fn header(&mut self, frame: &[u8]) -> Result<Option<usize>> {
        let mut r = Bits::new(frame);
        if r.bits(2)? != 2 {
            return Err(Error::Range);
        }
        let profile = r.bits(1)? | r.bits(1)? << 1;
        if profile == 3 && r.flag()? {
            return Err(Error::Range);
        }
        if r.flag()? {
            return Ok(None);
        }
        let key = !r.flag()?;
        let (show, error_resilient) = (r.flag()?, r.flag()?);
        let (refresh, width);
        if key {
            sync_code(&mut r)?;
            colour_config(&mut r, profile)?;
            refresh = 0xff;
            width = frame_size(&mut r)?;
            render_size(&mut r)?;
        } else {
            let intra_only = !show && r.flag()?;
            if !error_resilient {
                r.skip(2)?;
            }
            if intra_only {
                sync_code(&mut r)?;
                if profile > 0 {
                    colour_config(&mut r, profile)?;
                }
                refresh = r.bits(8)?;
                width = frame_size(&mut r)?;
                render_size(&mut r)?;
            } else {
                refresh = r.bits(8)?;
                width = self.inter(&mut r)?;
            }
        }
        if !error_resilient {
            r.skip(2)?;
        }
        r.skip(2)?;
        loop_filter(&mut r)?;
        r.skip(8)?;
        for _ in 0..3 {
            if r.flag()? {
                r.skip(5)?;
            }
        }
        segmentation(&mut r)?;
        tiles(&mut r, width)?;
        if r.bits(16)? == 0 {
            return Err(Error::Range);
        }
        for (index, slot) in self.widths.iter_mut().enumerate() {
            if refresh >> index & 1 == 1 {
                *slot = Some(width);
            }
        }
        Ok(Some(r.touched()))
    }

    /// The part of inter frames; gives the width.
    fn inter(&self, r: &mut Bits<'_>) -> Result<u32> {
        let mut refs = [0; 3];
        for reference in &mut refs {
            *reference = r.bits(3)? as usize;
            r.flag()?;
        }
        let mut width = None;
        for reference in refs {
            if r.flag()? {
                width = Some(self.widths.get(reference).copied().flatten().ok_or(Error::Range)?);
                break;
            }
        }
        let width = match width {
            Some(width) => width,
            None => frame_size(r)?,
        };
        render_size(r)?;
        r.flag()?;
        if !r.flag()? {
            r.skip(2)?;
        }
        Ok(width)
    }
}

/// The superframe index at the end of a sample, when there is one.
fn index_bytes(sample: &[u8]) -> Option<&[u8]> {
    let marker = *sample.last()?;
    if marker >> 5 != 0b110 {
        return None;
    }
    let bytes = 2 + (usize::from(marker >> 3 & 3) + 1) * (usize::from(marker & 7) + 1);
    let index = sample.get(sample.len().checked_sub(bytes)?..)?;
    (index.first() == Some(&marker)).then_some(index)
}

fn sync_code(r: &mut Bits<'_>) -> Result<()> {
    if r.bits(24)? == SYNC_CODE { Ok(()) } else { Err(Error::Range) }
}

fn colour_config(r: &mut Bits<'_>, profile: u32) -> Result<()> {
    if profile >= 2 {
        r.flag()?;
    }
    let odd = profile & 1 == 1;
    if r.bits(3)? != RGB {
        r.flag()?;
        r.skip(if odd { 3 } else { 0 })
    } else {
        r.skip(if odd { 1 } else { 0 })
    }
}

/// Gives the width.
fn frame_size(r: &mut Bits<'_>) -> Result<u32> {
    let width = r.bits(16)? + 1;
    r.skip(16)?;
    Ok(width)
}

fn render_size(r: &mut Bits<'_>) -> Result<()> {
    let bits = if r.flag()? { 32 } else { 0 };
    r.skip(bits)
}

fn loop_filter(r: &mut Bits<'_>) -> Result<()> {
    r.skip(9)?;
    if r.flag()? && r.flag()? {
        for _ in 0..4 + 2 {
            if r.flag()? {
                r.skip(7)?;
            }
        }
    }
    Ok(())
}

fn segmentation(r: &mut Bits<'_>) -> Result<()> {
    if !r.flag()? {
        return Ok(());
    }
    if r.flag()? {
        probabilities(r, 7)?;
        if r.flag()? {
            probabilities(r, 3)?;
        }
    }
    if r.flag()? {
        r.flag()?;
        for _ in 0..8 {
            for bits in [9, 7, 2, 0] {
                if r.flag()? {
                    r.skip(bits)?;
                }
            }
        }
    }
    Ok(())
}

fn probabilities(r: &mut Bits<'_>, count: u32) -> Result<()> {
    for _ in 0..count {
        if r.flag()? {
            r.skip(8)?;
        }
    }
    Ok(())
}

fn tiles(r: &mut Bits<'_>, width: u32) -> Result<()> {
    let superblocks = width.div_ceil(64);
    let least = (0..6).find(|k| 64 << k >= superblocks).unwrap_or(6);
    let most = (1..12).find(|k| superblocks >> k < 4).unwrap_or(12) - 1;
    for _ in least..most {
        if !r.flag()? {
            break;
        }
    }
    if r.flag()? {
        r.flag()?;
    }
    Ok(())
}
