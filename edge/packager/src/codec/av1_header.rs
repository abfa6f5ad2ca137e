//! AV1 frame headers (AV1 specification clause 5.9): where they end, and what later ones refer to.

use super::av1::{SELECT, Sequence};
use super::av1_params::{self, Motion, Quantization, Segments, Tiles};
use super::av1_refs::{self, REFS, SLOTS};
use crate::bytes::bits::{Bits, Error, Result};

/// `frame_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameType {
    Key,
    Inter,
    IntraOnly,
    Switch,
}

/// What a reference slot keeps of its frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    frame_type: FrameType,
    upscaled_width: u32,
    frame_height: u32,
    order_hint: u32,
    segments: Segments,
    motion: Motion,
}

/// The reference slots.
pub(super) type Slots = [Option<Slot>; SLOTS];

/// Reads `uncompressed_header` (clause 5.9.2) and brings the slots up to date. None after `show_existing_frame`.
pub(super) fn read(
    r: &mut Bits<'_>,
    sequence: &Sequence,
    layer: Option<(u8, u8)>,
    slots: &mut Slots,
) -> Result<Option<Tiles>> {
    Header::new(sequence).read(r, layer, slots)
}

/// A frame header while it is read.
struct Header<'s> {
    s: &'s Sequence,
    frame_type: FrameType,
    show_frame: bool,
    showable_frame: bool,
    error_resilient: bool,
    screen_content: bool,
    integer_mv: bool,
    size_override: bool,
    order_hint: u32,
    refs: [usize; REFS],
    upscaled_width: u32,
    frame_width: u32,
    frame_height: u32,
    intrabc: bool,
    high_precision_mv: bool,
}

impl<'s> Header<'s> {
    fn new(s: &'s Sequence) -> Self {
        Self {
            s,
            frame_type: FrameType::Key,
            show_frame: true,
            showable_frame: false,
            error_resilient: true,
            screen_content: false,
            integer_mv: false,
            size_override: false,
            order_hint: 0,
            refs: [0; REFS],
            upscaled_width: 0,
            frame_width: 0,
            frame_height: 0,
            intrabc: false,
            high_precision_mv: false,
        }
    }

    fn intra(&self) -> bool {
        matches!(self.frame_type, FrameType::Key | FrameType::IntraOnly)
    }

    fn read(mut self, r: &mut Bits<'_>, layer: Option<(u8, u8)>, slots: &mut Slots) -> Result<Option<Tiles>> {
        let s = self.s;
        let id_bits = s.frame_ids.map_or(0, |(_, bits)| bits);
        if !s.reduced_still_picture {
            if r.flag()? {
                let shown = r.bits(3)? as usize;
                self.temporal_point(r)?;
                r.bits(id_bits)?;
                let slot = slots.get(shown).copied().flatten().ok_or(Error::Range)?;
                if slot.frame_type == FrameType::Key {
                    *slots = [Some(slot); SLOTS];
                }
                return Ok(None);
            }
            self.frame_type = match r.bits(2)? {
                0 => FrameType::Key,
                1 => FrameType::Inter,
                2 => FrameType::IntraOnly,
                _ => FrameType::Switch,
            };
            self.show_frame = r.flag()?;
            if self.show_frame {
                self.temporal_point(r)?;
                self.showable_frame = self.frame_type != FrameType::Key;
            } else {
                self.showable_frame = r.flag()?;
            }
            self.error_resilient = self.frame_type == FrameType::Switch
                || (self.frame_type == FrameType::Key && self.show_frame)
                || r.flag()?;
        }
        let shown_key = self.frame_type == FrameType::Key && self.show_frame;
        if shown_key {
            *slots = [None; SLOTS];
        }
        let disable_cdf_update = r.flag()?;
        self.screen_content = match s.force_screen_content_tools {
            SELECT => r.flag()?,
            forced => forced != 0,
        };
        self.integer_mv = self.screen_content
            && match s.force_integer_mv {
                SELECT => r.flag()?,
                forced => forced != 0,
            };
        r.bits(id_bits)?;
        self.size_override = match self.frame_type {
            FrameType::Switch => true,
            _ => !s.reduced_still_picture && r.flag()?,
        };
        self.order_hint = r.bits(s.order_hint_bits)?;
        let mut primary = None;
        if !self.intra() && !self.error_resilient {
            primary = Some(r.bits(3)? as usize).filter(|p| *p < REFS);
        }
        self.buffer_removal_times(r, layer)?;
        let refresh = if self.frame_type == FrameType::Switch || shown_key { 0xff } else { r.bits(8)? };
        if (!self.intra() || refresh != 0xff) && self.error_resilient && s.order_hint_bits > 0 {
            self.reference_order_hints(r, slots)?;
        }
        if self.intra() {
            self.frame_size(r)?;
            render_size(r)?;
            self.intrabc = self.screen_content && self.upscaled_width == self.frame_width && r.flag()?;
        } else {
            self.inter(r, slots)?;
        }
        if !s.reduced_still_picture && !disable_cdf_update {
            r.flag()?;
        }
        let previous = match primary {
            Some(p) => Some(self.slot(slots, p)?),
            None => None,
        };
        let mi = (2 * self.frame_width.div_ceil(8), 2 * self.frame_height.div_ceil(8));
        let tiles = Tiles::parse(r, s.use_128x128_superblock, mi)?;
        let (segments, motion) = self.coding_parameters(r, slots, previous)?;
        self.film_grain(r)?;
        let slot = Slot {
            frame_type: self.frame_type,
            upscaled_width: self.upscaled_width,
            frame_height: self.frame_height,
            order_hint: self.order_hint,
            segments,
            motion,
        };
        for (index, place) in slots.iter_mut().enumerate() {
            if refresh >> index & 1 == 1 {
                *place = Some(slot);
            }
        }
        Ok(Some(tiles))
    }

    /// From `quantization_params` to `global_motion_params`.
    fn coding_parameters(&self, r: &mut Bits<'_>, slots: &Slots, previous: Option<Slot>) -> Result<(Segments, Motion)> {
        let s = self.s;
        let quantization = Quantization::parse(r, s)?;
        let segments = Segments::parse(r, previous.map(|p| p.segments))?;
        if quantization.base > 0 && r.flag()? {
            r.skip(2)?;
            if !self.intrabc && r.flag()? {
                r.skip(3)?;
            }
        }
        let coded_lossless = segments.lossless(&quantization);
        if !coded_lossless && !self.intrabc {
            av1_params::loop_filter(r, s)?;
            if s.enable_cdef {
                av1_params::cdef(r, s)?;
            }
        }
        let all_lossless = coded_lossless && self.upscaled_width == self.frame_width;
        if !all_lossless && !self.intrabc && s.enable_restoration {
            av1_params::restoration(r, s)?;
        }
        if !coded_lossless {
            r.flag()?;
        }
        let reference_select = !self.intra() && r.flag()?;
        if reference_select && s.order_hint_bits > 0 {
            let mut hints = [0; REFS];
            for (index, hint) in hints.iter_mut().enumerate() {
                *hint = self.slot(slots, index)?.order_hint;
            }
            if av1_refs::skip_mode_allowed(s.order_hint_bits, self.order_hint, hints) {
                r.flag()?;
            }
        }
        if !self.intra() && !self.error_resilient && s.enable_warped_motion {
            r.flag()?;
        }
        r.flag()?;
        let mut motion = Motion::default();
        if !self.intra() {
            motion = Motion::parse(r, previous.map(|p| p.motion).unwrap_or_default(), self.high_precision_mv)?;
        }
        Ok((segments, motion))
    }

    fn temporal_point(&self, r: &mut Bits<'_>) -> Result<()> {
        if let Some(model) = self.s.decoder_model.as_ref().filter(|_| !self.s.equal_picture_interval) {
            r.bits(model.frame_presentation_time_bits)?;
        }
        Ok(())
    }

    fn buffer_removal_times(&self, r: &mut Bits<'_>, layer: Option<(u8, u8)>) -> Result<()> {
        let Some(model) = &self.s.decoder_model else { return Ok(()) };
        if !r.flag()? {
            return Ok(());
        }
        let (temporal, spatial) = layer.unwrap_or_default();
        for point in self.s.operating_points.iter().filter(|p| p.decoder_model) {
            let inside = point.idc >> temporal & 1 == 1 && point.idc >> (spatial + 8) & 1 == 1;
            if point.idc == 0 || inside {
                r.bits(model.buffer_removal_time_bits)?;
            }
        }
        Ok(())
    }

    fn reference_order_hints(&self, r: &mut Bits<'_>, slots: &mut Slots) -> Result<()> {
        for slot in slots.iter_mut() {
            let order_hint = r.bits(self.s.order_hint_bits)?;
            match slot {
                Some(slot) if slot.order_hint == order_hint => {}
                // A frame that was never seen: only its place in time is known.
                _ => {
                    *slot = Some(Slot {
                        frame_type: FrameType::Inter,
                        upscaled_width: 0,
                        frame_height: 0,
                        order_hint,
                        segments: Segments::default(),
                        motion: Motion::default(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The slot behind `ref_frame_idx[index]`.
    fn slot(&self, slots: &Slots, index: usize) -> Result<Slot> {
        let slot = self.refs.get(index).and_then(|i| slots.get(*i)).copied().flatten();
        slot.ok_or(Error::Range)
    }

    /// `frame_size` (clause 5.9.5).
    fn frame_size(&mut self, r: &mut Bits<'_>) -> Result<()> {
        let s = self.s;
        (self.upscaled_width, self.frame_height) = if self.size_override {
            (r.bits(s.frame_width_bits)? + 1, r.bits(s.frame_height_bits)? + 1)
        } else {
            (s.max_frame_width, s.max_frame_height)
        };
        self.superres(r)
    }

    /// `superres_params` (clause 5.9.8).
    fn superres(&mut self, r: &mut Bits<'_>) -> Result<()> {
        self.frame_width = self.upscaled_width;
        if self.s.enable_superres && r.flag()? {
            let denominator = r.bits(3)? + 9;
            self.frame_width = (self.upscaled_width * 8 + denominator / 2) / denominator;
        }
        Ok(())
    }

    /// `frame_size_with_refs` (clause 5.9.7).
    fn frame_size_with_refs(&mut self, r: &mut Bits<'_>, slots: &Slots) -> Result<()> {
        for index in 0..REFS {
            if r.flag()? {
                let slot = self.slot(slots, index)?;
                if slot.upscaled_width == 0 {
                    return Err(Error::Range);
                }
                (self.upscaled_width, self.frame_height) = (slot.upscaled_width, slot.frame_height);
                return self.superres(r);
            }
        }
        self.frame_size(r)?;
        render_size(r)
    }

    /// The part of inter frames.
    fn inter(&mut self, r: &mut Bits<'_>, slots: &Slots) -> Result<()> {
        let s = self.s;
        let short = s.order_hint_bits > 0 && r.flag()?;
        if short {
            let (last, gold) = (r.bits(3)? as usize, r.bits(3)? as usize);
            let mut distances = [0; SLOTS];
            for (distance, slot) in distances.iter_mut().zip(slots) {
                let hint = slot.as_ref().ok_or(Error::Range)?.order_hint;
                *distance = av1_refs::distance(s.order_hint_bits, hint, self.order_hint);
            }
            self.refs = av1_refs::frame_refs(distances, last, gold);
        }
        for index in 0..REFS {
            if !short {
                let slot = r.bits(3)? as usize;
                if let Some(place) = self.refs.get_mut(index) {
                    *place = slot;
                }
            }
            if let Some((delta_bits, _)) = s.frame_ids {
                r.bits(delta_bits)?;
            }
        }
        if self.size_override && !self.error_resilient {
            self.frame_size_with_refs(r, slots)?;
        } else {
            self.frame_size(r)?;
            render_size(r)?;
        }
        self.high_precision_mv = !self.integer_mv && r.flag()?;
        if !r.flag()? {
            r.skip(2)?;
        }
        r.flag()?;
        if !self.error_resilient && s.enable_ref_frame_mvs {
            r.flag()?;
        }
        Ok(())
    }

    fn film_grain(&self, r: &mut Bits<'_>) -> Result<()> {
        if self.s.film_grain_params_present && (self.show_frame || self.showable_frame) {
            av1_params::film_grain(r, self.s, self.frame_type == FrameType::Inter)?;
        }
        Ok(())
    }
}

fn render_size(r: &mut Bits<'_>) -> Result<()> {
    if r.flag()? {
        r.skip(32)?;
    }
    Ok(())
}
