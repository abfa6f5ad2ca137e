//! The parts of AV1 frame headers: tiles, quantization, segmentation, filters, global motion, film grain (AV1
//! specification clauses 5.9.10 to 5.9.30), and tile groups (clause 5.11.1).

use super::av1::Sequence;
use super::scan::Runs;
use crate::bytes::bits::{Bits, Error, Result};

const MAX_SEGMENTS: usize = 8;
/// Bits of each segmentation feature, and whether it has a sign.
const FEATURES: [(u32, bool); 8] =
    [(8, true), (6, true), (6, true), (6, true), (6, true), (3, false), (0, false), (0, false)];
/// `WARPEDMODEL_PREC_BITS`.
const WARP_BITS: u32 = 16;
/// Most tile columns, and most tile rows.
const MAX_TILES: u32 = 64;

/// `tile_log2`.
fn tile_log2(block: u32, target: u32) -> u32 {
    (0..31).find(|k| u64::from(block) << k >= u64::from(target)).unwrap_or(31)
}

/// `ns(n)`.
fn ns(r: &mut Bits<'_>, n: u32) -> Result<u32> {
    if n <= 1 {
        return Ok(0);
    }
    let width = 32 - n.leading_zeros();
    let m = ((1u64 << width) - u64::from(n)) as u32;
    let value = r.bits(width - 1)?;
    if value < m { Ok(value) } else { Ok((value << 1) - m + r.bits(1)?) }
}

/// `tile_info` (clause 5.9.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    columns: u32,
    rows: u32,
    columns_log2: u32,
    rows_log2: u32,
    size_bytes: usize,
}

impl Tiles {
    /// `mi` is (`MiCols`, `MiRows`).
    pub fn parse(r: &mut Bits<'_>, large_superblocks: bool, mi: (u32, u32)) -> Result<Self> {
        let shift = if large_superblocks { 5 } else { 4 };
        let (columns, rows) = (mi.0.div_ceil(1 << shift), mi.1.div_ceil(1 << shift));
        if columns == 0 || rows == 0 {
            return Err(Error::Range);
        }
        let max_width = 4096 >> (shift + 2);
        let area = columns.saturating_mul(rows);
        let min_columns_log2 = tile_log2(max_width, columns);
        let min_log2 = min_columns_log2.max(tile_log2((4096 * 2304) >> (2 * (shift + 2)), area));
        let mut tiles = Self { columns: 0, rows: 0, columns_log2: 0, rows_log2: 0, size_bytes: 0 };
        if r.flag()? {
            tiles.columns_log2 = increment(r, min_columns_log2, tile_log2(1, columns.min(MAX_TILES)))?;
            tiles.columns = columns.div_ceil(columns.div_ceil(1 << tiles.columns_log2));
            let min_rows_log2 = min_log2.saturating_sub(tiles.columns_log2);
            tiles.rows_log2 = increment(r, min_rows_log2, tile_log2(1, rows.min(MAX_TILES)))?;
            tiles.rows = rows.div_ceil(rows.div_ceil(1 << tiles.rows_log2));
        } else {
            let (count, widest) = sizes(r, columns, max_width)?;
            tiles.columns = count;
            tiles.columns_log2 = tile_log2(1, count);
            let max_area = if min_log2 > 0 { area >> (min_log2 + 1) } else { area };
            (tiles.rows, _) = sizes(r, rows, (max_area / widest.max(1)).max(1))?;
            tiles.rows_log2 = tile_log2(1, tiles.rows);
        }
        if tiles.columns_log2 > 0 || tiles.rows_log2 > 0 {
            r.bits(tiles.columns_log2 + tiles.rows_log2)?;
            tiles.size_bytes = r.bits(2)? as usize + 1;
        }
        Ok(tiles)
    }

    /// `NumTiles`.
    pub fn count(&self) -> u32 {
        self.columns * self.rows
    }

    /// The header of a tile group: first tile, last tile, bytes.
    fn group(&self, data: &[u8]) -> Result<(u32, u32, usize)> {
        let mut r = Bits::new(data);
        if self.count() <= 1 || !r.flag()? {
            return Ok((0, self.count().saturating_sub(1), r.touched()));
        }
        let bits = self.columns_log2 + self.rows_log2;
        let (first, last) = (r.bits(bits)?, r.bits(bits)?);
        if first > last || last >= self.count() {
            return Err(Error::Range);
        }
        Ok((first, last, r.touched()))
    }

    /// The last tile of a tile group.
    pub fn last_in(&self, data: &[u8]) -> Result<u32> {
        Ok(self.group(data)?.1)
    }

    /// Adds the runs of a tile group: what is in `decode_tile` is protected, sizes and header are clear. After a fault
    /// the rest is clear.
    pub fn runs(&self, data: &[u8], runs: &mut Runs<'_>) -> Result<()> {
        let Ok((first, last, header)) = self.group(data) else {
            runs.clear(data.len());
            return Err(Error::Range);
        };
        runs.clear(header);
        let mut rest = data.get(header..).unwrap_or_default();
        for _ in first..last {
            let tile = rest.split_at_checked(self.size_bytes).and_then(|(size, after)| {
                let size = size.iter().rev().fold(0usize, |n, &b| (n << 8) | usize::from(b)) + 1;
                after.split_at_checked(size)
            });
            let Some((tile, after)) = tile else {
                runs.clear(rest.len());
                return Err(Error::End);
            };
            runs.clear(self.size_bytes);
            runs.protected(tile.len());
            rest = after;
        }
        runs.protected(rest.len());
        Ok(())
    }
}

fn increment(r: &mut Bits<'_>, from: u32, most: u32) -> Result<u32> {
    let mut value = from;
    while value < most && r.flag()? {
        value += 1;
    }
    Ok(value)
}

/// Sizes of tile columns or rows in superblocks; gives how many, and the largest.
fn sizes(r: &mut Bits<'_>, total: u32, most: u32) -> Result<(u32, u32)> {
    let (mut left, mut count, mut largest) = (total, 0, 0);
    while left > 0 {
        if count == MAX_TILES {
            return Err(Error::Range);
        }
        let size = ns(r, left.min(most))? + 1;
        largest = largest.max(size);
        left = left.checked_sub(size).ok_or(Error::Range)?;
        count += 1;
    }
    Ok((count, largest))
}

/// `quantization_params` (clause 5.9.12).
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantization {
    pub base: u32,
    /// All of the DC and AC offsets are 0.
    flat: bool,
}

impl Quantization {
    pub fn parse(r: &mut Bits<'_>, s: &Sequence) -> Result<Self> {
        let base = r.bits(8)?;
        let mut flat = delta_q(r)? == 0;
        if !s.monochrome {
            let different = s.separate_uv_delta_q && r.flag()?;
            for _ in 0..if different { 4 } else { 2 } {
                flat &= delta_q(r)? == 0;
            }
        }
        if r.flag()? {
            r.skip(if s.separate_uv_delta_q { 12 } else { 8 })?;
        }
        Ok(Self { base, flat })
    }
}

fn delta_q(r: &mut Bits<'_>) -> Result<i32> {
    if r.flag()? { r.su(7) } else { Ok(0) }
}

/// `segmentation_params` (clause 5.9.14): of the features only the quantizer matters to headers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segments {
    enabled: bool,
    quantizer: [Option<i32>; MAX_SEGMENTS],
}

impl Segments {
    pub fn parse(r: &mut Bits<'_>, previous: Option<Segments>) -> Result<Self> {
        if !r.flag()? {
            return Ok(Self::default());
        }
        let mut segments = Self { enabled: true, ..previous.unwrap_or_default() };
        let mut update = true;
        if previous.is_some() {
            if r.flag()? {
                r.flag()?;
            }
            update = r.flag()?;
        }
        if update {
            for quantizer in &mut segments.quantizer {
                *quantizer = None;
                for (index, (bits, signed)) in FEATURES.into_iter().enumerate() {
                    if r.flag()? {
                        let value = if signed { r.su(bits + 1)? } else { r.bits(bits)? as i32 };
                        if index == 0 {
                            *quantizer = Some(value);
                        }
                    }
                }
            }
        }
        Ok(segments)
    }

    /// `CodedLossless`.
    pub fn lossless(&self, q: &Quantization) -> bool {
        let base = q.base as i32;
        q.flat
            && self.quantizer.iter().all(|feature| match feature {
                Some(delta) if self.enabled => (base + delta).clamp(0, 255) == 0,
                _ => base == 0,
            })
    }
}

/// `loop_filter_params` (clause 5.9.11).
pub(super) fn loop_filter(r: &mut Bits<'_>, s: &Sequence) -> Result<()> {
    let levels = r.bits(12)?;
    if !s.monochrome && levels != 0 {
        r.skip(12)?;
    }
    r.skip(3)?;
    if r.flag()? && r.flag()? {
        for _ in 0..8 + 2 {
            if r.flag()? {
                r.skip(7)?;
            }
        }
    }
    Ok(())
}

/// `cdef_params` (clause 5.9.19).
pub(super) fn cdef(r: &mut Bits<'_>, s: &Sequence) -> Result<()> {
    r.skip(2)?;
    for _ in 0..1 << r.bits(2)? {
        r.skip(if s.monochrome { 6 } else { 12 })?;
    }
    Ok(())
}

/// `lr_params` (clause 5.9.20).
pub(super) fn restoration(r: &mut Bits<'_>, s: &Sequence) -> Result<()> {
    let luma = r.bits(2)? != 0;
    let chroma = !s.monochrome && r.bits(4)? != 0;
    if !luma && !chroma {
        return Ok(());
    }
    if r.flag()? && !s.use_128x128_superblock {
        r.flag()?;
    }
    if chroma && s.subsampling == (true, true) {
        r.flag()?;
    }
    Ok(())
}

/// `gm_params` of the seven references (clause 5.9.24).
#[derive(Clone, Copy, Debug)]
pub(super) struct Motion([[i32; 6]; 7]);

impl Default for Motion {
    fn default() -> Self {
        Self([[0, 0, 1 << WARP_BITS, 0, 0, 1 << WARP_BITS]; 7])
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum MotionType {
    Translation,
    RotationZoom,
    Affine,
}

impl Motion {
    pub fn parse(r: &mut Bits<'_>, previous: Self, high_precision: bool) -> Result<Self> {
        let mut motion = Self::default();
        for (params, previous) in motion.0.iter_mut().zip(previous.0) {
            if !r.flag()? {
                continue;
            }
            let kind = if r.flag()? {
                MotionType::RotationZoom
            } else if r.flag()? {
                MotionType::Translation
            } else {
                MotionType::Affine
            };
            let [p0, p1, p2, p3, p4, p5] = previous;
            let mut read = |index, previous| parameter(r, kind, index, previous, high_precision);
            let mut now = *params;
            if kind >= MotionType::RotationZoom {
                let (a, b) = (read(2, p2)?, read(3, p3)?);
                let (c, d) =
                    if kind == MotionType::Affine { (read(4, p4)?, read(5, p5)?) } else { (b.wrapping_neg(), a) };
                now = [0, 0, a, b, c, d];
            }
            let [_, _, a, b, c, d] = now;
            *params = [read(0, p0)?, read(1, p1)?, a, b, c, d];
        }
        Ok(motion)
    }
}

/// `read_global_param` (clause 5.9.25).
fn parameter(r: &mut Bits<'_>, kind: MotionType, index: u32, previous: i32, high_precision: bool) -> Result<i32> {
    let coarse = u32::from(!high_precision);
    let (bits, precision) = match (index, kind) {
        (0 | 1, MotionType::Translation) => (9 - coarse, 3 - coarse),
        (0 | 1, _) => (12, 6),
        _ => (12, 15),
    };
    let difference = WARP_BITS - precision;
    let (round, sub) = if index % 3 == 2 { (1 << WARP_BITS, 1 << precision) } else { (0, 0) };
    let most = 1i32 << bits;
    let reference = (previous >> difference) - sub;
    let value = subexp_with_reference(r, (2 * most + 1) as u32, reference + most)? - most;
    Ok((value << difference) + round)
}

/// `decode_unsigned_subexp_with_ref`.
fn subexp_with_reference(r: &mut Bits<'_>, most: u32, reference: i32) -> Result<i32> {
    let value = subexp(r, most)? as i32;
    let most = most as i32;
    let recentre = |around: i32| {
        if value > 2 * around {
            value
        } else if value & 1 == 1 {
            around - ((value + 1) >> 1)
        } else {
            around + (value >> 1)
        }
    };
    if !(0..most).contains(&reference) {
        return Err(Error::Range);
    }
    let value = if reference << 1 <= most { recentre(reference) } else { most - 1 - recentre(most - 1 - reference) };
    Ok(value)
}

/// `decode_subexp`.
fn subexp(r: &mut Bits<'_>, symbols: u32) -> Result<u32> {
    let (mut i, mut base, k) = (0u32, 0u32, 3u32);
    loop {
        let bits = if i > 0 { k + i - 1 } else { k };
        let step = 1u32 << bits;
        if symbols <= base + 3 * step {
            return Ok(ns(r, symbols - base)? + base);
        }
        if !r.flag()? {
            return Ok(r.bits(bits)? + base);
        }
        i += 1;
        base += step;
    }
}

/// `film_grain_params` from `apply_grain` on (clause 5.9.30).
pub(super) fn film_grain(r: &mut Bits<'_>, s: &Sequence, inter: bool) -> Result<()> {
    if !r.flag()? {
        return Ok(());
    }
    r.skip(16)?;
    if inter && !r.flag()? {
        return r.skip(3);
    }
    let luma = r.bits(4)?;
    r.skip(16 * luma)?;
    let from_luma = !s.monochrome && r.flag()?;
    let (mut cb, mut cr) = (0, 0);
    let no_luma = s.subsampling == (true, true) && luma == 0;
    if !s.monochrome && !from_luma && !no_luma {
        cb = r.bits(4)?;
        r.skip(16 * cb)?;
        cr = r.bits(4)?;
        r.skip(16 * cr)?;
    }
    r.skip(2)?;
    let lag = r.bits(2)?;
    let positions = 2 * lag * (lag + 1);
    let mut chroma_positions = positions;
    if luma > 0 {
        chroma_positions += 1;
        r.skip(8 * positions)?;
    }
    for points in [cb, cr] {
        if from_luma || points > 0 {
            r.skip(8 * chroma_positions)?;
        }
    }
    r.skip(4)?;
    for points in [cb, cr] {
        if points > 0 {
            r.skip(8 + 8 + 9)?;
        }
    }
    r.skip(2)
}
