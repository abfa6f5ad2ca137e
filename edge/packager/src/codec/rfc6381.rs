//! Codec strings: RFC 6381, ISO/IEC 14496-15 annex E, and the bindings of AV1 and VP9.

use core::fmt::Write as _;

use super::{Colour, DolbyVision, FourCc, hevc};

/// The FourCC as text; what is not printable becomes `.`.
pub(super) fn name(fourcc: FourCc) -> String {
    fourcc.iter().map(|&b| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '.' }).collect()
}

/// `avc1.PPCCLL`.
pub(super) fn avc(fourcc: FourCc, profile: u8, compatibility: u8, level: u8) -> String {
    format!("{}.{profile:02X}{compatibility:02X}{level:02X}", name(fourcc))
}

/// `hvc1.1.6.L93.B0`.
pub(super) fn hevc(fourcc: FourCc, record: &hevc::Record) -> String {
    let space = ["", "A", "B", "C"].get(usize::from(record.profile_space)).copied().unwrap_or_default();
    let tier = if record.tier { 'H' } else { 'L' };
    let mut text = format!(
        "{}.{space}{}.{:X}.{tier}{}",
        name(fourcc),
        record.profile_idc,
        record.compatibility.reverse_bits(),
        record.level
    );
    let used = record.constraints.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    for byte in record.constraints.iter().take(used) {
        // Writing to a String does not fail.
        let _ = write!(text, ".{byte:X}");
    }
    text
}

/// The parts of an AV1 codec string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Av1 {
    pub profile: u32,
    pub level: u32,
    pub tier: bool,
    pub bit_depth: u8,
    pub monochrome: bool,
    /// `subsampling_x`, `subsampling_y`, `chroma_sample_position`.
    pub chroma: [u32; 3],
    pub colour: Option<Colour>,
}

/// `av01.P.LLT.DD`, and the optional part when one of its values is neither the default nor unspecified.
pub(super) fn av1(fourcc: FourCc, v: &Av1) -> String {
    let tier = if v.tier { 'H' } else { 'M' };
    let mut text = format!("{}.{}.{:02}{tier}.{:02}", name(fourcc), v.profile, v.level, v.bit_depth);
    let c = v.colour.unwrap_or(Colour { primaries: 1, transfer: 1, matrix: 1, full_range: false });
    let [x, y, position] = v.chroma;
    // Where the chroma samples lie decides nothing about playing: it alone does not make the string longer.
    if v.monochrome || (x, y) != (1, 1) || c.is_special() {
        let (mono, full) = (u8::from(v.monochrome), u8::from(c.full_range));
        let _ = write!(text, ".{mono}.{x}{y}{position}.{:02}.{:02}.{:02}.{full}", c.primaries, c.transfer, c.matrix);
    }
    text
}

/// `vp09.PP.LL.DD`, and the optional part when one of its values is neither the default nor unspecified.
pub(super) fn vp9(fourcc: FourCc, v: &super::vp9::Record) -> String {
    let mut text = format!("{}.{:02}.{:02}.{:02}", name(fourcc), v.profile, v.level, v.bit_depth);
    // Both 0 and 1 are 4:2:0, with different places of the chroma samples.
    if v.chroma_subsampling > 1 || v.colour.is_special() {
        let c = v.colour;
        let (chroma, full) = (v.chroma_subsampling, u8::from(c.full_range));
        let _ = write!(text, ".{chroma:02}.{:02}.{:02}.{:02}.{full:02}", c.primaries, c.transfer, c.matrix);
    }
    text
}

/// `dvh1.PP.LL`.
pub(super) fn dolby_vision(fourcc: FourCc, v: &DolbyVision) -> String {
    format!("{}.{:02}.{:02}", name(fourcc), v.profile, v.level)
}
