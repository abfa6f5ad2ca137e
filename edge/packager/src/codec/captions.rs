//! Closed captions in the picture user data of H.264 and H.265 (ATSC A/53 part 4, CTA-608, CTA-708): which channels and
//! services carry something.

use crate::bytes::bits::{Bits, Result};

/// `itu_t_t35_country_code` of the United States, `itu_t_t35_provider_code` of ATSC, `user_identifier` GA94,
/// `user_data_type_code` of cc_data.
const ATSC_CC_DATA: [u8; 8] = [0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03];
/// `user_data_registered_itu_t_t35`.
const REGISTERED_USER_DATA: u32 = 4;
/// SEI messages of one NAL unit that are looked at.
const MAX_MESSAGES: usize = 64;
/// Most bytes of a DTVCC packet (CTA-708 clause 5).
const MAX_PACKET_BYTES: usize = 128;
/// Service blocks of one packet: two bytes each at least.
const MAX_BLOCKS: usize = 64;

/// What captions a track carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captions {
    channels: u8,
    services: u64,
}

impl Captions {
    /// CTA-608 channels with data, 1 to 4 for CC1 to CC4, in order.
    pub fn channels(&self) -> impl Iterator<Item = u8> + use<> {
        let set = self.channels;
        (1..=4u8).filter(move |n| set >> n & 1 == 1)
    }

    /// CTA-708 services with data, 1 to 63, in order.
    pub fn services(&self) -> impl Iterator<Item = u8> + use<> {
        let set = self.services;
        (1..=63u8).filter(move |n| set >> n & 1 == 1)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Gathers captions from the samples of a track, in decoding order. Blocks of pictures that are shown out of order may
/// be taken apart wrongly where a packet spans pictures; whole packets start anew with each.
#[derive(Clone, Debug, Default)]
pub(super) struct Gatherer {
    found: Captions,
    /// The data channel (0 or 1) that each field's last control code chose.
    channel: [Option<u8>; 2],
    packet: Packet,
}

#[derive(Clone, Debug)]
struct Packet {
    bytes: [u8; MAX_PACKET_BYTES],
    filled: usize,
    size: usize,
}

impl Default for Packet {
    fn default() -> Self {
        Self { bytes: [0; MAX_PACKET_BYTES], filled: 0, size: 0 }
    }
}

impl Gatherer {
    pub fn found(&self) -> Captions {
        self.found
    }

    /// Looks into an SEI NAL unit after its header of `header` bytes. What cannot be read is left out.
    pub fn sei(&mut self, nal: &[u8], header: u32) {
        // Nothing is lost when a message is cut off: its captions are not there.
        let _ = self.messages(nal, header);
    }

    fn messages(&mut self, nal: &[u8], header: u32) -> Result<()> {
        let mut r = Bits::nal(nal);
        r.skip(8 * header)?;
        for _ in 0..MAX_MESSAGES {
            let kind = chained(&mut r)?;
            let size = chained(&mut r)?;
            let mut inside = r.clone();
            // Past the end this fails, which ends the walk; rbsp_trailing_bits have the looks of type 128.
            r.skip(size.saturating_mul(8))?;
            if kind == REGISTERED_USER_DATA && size as usize > ATSC_CC_DATA.len() {
                let mut start = [0; ATSC_CC_DATA.len()];
                for byte in &mut start {
                    *byte = inside.byte()?;
                }
                if start == ATSC_CC_DATA {
                    self.cc_data(&mut inside, size as usize - ATSC_CC_DATA.len())?;
                }
            }
        }
        Ok(())
    }

    /// `cc_data()` (CTA-708 clause 4.4), `size` bytes at most.
    fn cc_data(&mut self, r: &mut Bits<'_>, size: usize) -> Result<()> {
        r.flag()?;
        let process = r.flag()?;
        r.flag()?;
        let count = r.bits(5)? as usize;
        r.byte()?;
        if !process {
            return Ok(());
        }
        for _ in 0..count.min(size.saturating_sub(2) / 3) {
            let head = r.byte()?;
            let pair = [r.byte()?, r.byte()?];
            let valid = head & 4 != 0;
            match head & 3 {
                field @ (0 | 1) if valid => self.line_21(usize::from(field), pair),
                2 if valid => self.dtvcc(pair),
                3 => {
                    self.packet_ends();
                    if valid {
                        self.packet_starts(pair);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Two bytes of CTA-608.
    fn line_21(&mut self, field: usize, pair: [u8; 2]) {
        let [first, second] = pair.map(|b| b & 0x7f);
        if (first, second) == (0, 0) {
            return;
        }
        let Some(channel) = self.channel.get_mut(field) else { return };
        match first {
            // Control codes and what else has two bytes; bit 3 is the data channel.
            0x10..=0x1f => *channel = Some(first >> 3 & 1),
            // Extended data services of field 2 are no captions, and what follows them is theirs.
            0x01..=0x0f => *channel = None,
            _ => {}
        }
        if let Some(channel) = *channel {
            self.found.channels |= 1 << (1 + 2 * field as u8 + channel);
        }
    }

    fn packet_starts(&mut self, pair: [u8; 2]) {
        let [head, _] = pair;
        let code = usize::from(head & 0x3f);
        self.packet.size = if code == 0 { MAX_PACKET_BYTES } else { code * 2 };
        self.packet.filled = 0;
        self.dtvcc(pair);
    }

    fn dtvcc(&mut self, pair: [u8; 2]) {
        let packet = &mut self.packet;
        for byte in pair {
            if packet.filled < packet.size
                && let Some(place) = packet.bytes.get_mut(packet.filled)
            {
                *place = byte;
                packet.filled += 1;
            }
        }
        if packet.size > 0 && packet.filled >= packet.size {
            self.packet_ends();
        }
    }

    /// Reads the service blocks of the packet that was gathered (CTA-708 clause 6.2).
    fn packet_ends(&mut self) {
        let packet = core::mem::take(&mut self.packet);
        // A packet that is cut short, or put together from pictures out of order, does not count as far as that shows.
        if packet.filled < packet.size {
            return;
        }
        let mut services = 0;
        let mut r = Bits::new(packet.bytes.get(1..packet.filled).unwrap_or_default());
        for _ in 0..MAX_BLOCKS {
            if r.rest().is_empty() {
                break;
            }
            let Ok((service, size)) = service_block(&mut r) else { return };
            if service == 0 {
                break;
            }
            if size > 0 {
                services |= 1 << service;
            }
        }
        self.found.services |= services;
    }
}

/// Gives the service number, 0 for the end, and the bytes of the block, which it passes over.
fn service_block(r: &mut Bits<'_>) -> Result<(u32, u32)> {
    let mut service = r.bits(3)?;
    let size = r.bits(5)?;
    if service == 7 {
        r.skip(2)?;
        service = r.bits(6)?;
    }
    r.skip(8 * size)?;
    Ok((service, size))
}

/// `payloadType` and `payloadSize`: bytes of 255 that add up, and a last one.
fn chained(r: &mut Bits<'_>) -> Result<u32> {
    let mut value = 0u32;
    loop {
        let byte = r.byte()?;
        value = value.saturating_add(byte.into());
        if byte != 255 {
            return Ok(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An SEI NAL unit of H.264 with these cc_data constructs.
    fn sei(constructs: &[[u8; 3]]) -> Vec<u8> {
        let mut nal = vec![6, 5, 2, 1, 2, 4, (ATSC_CC_DATA.len() + 3 + 3 * constructs.len()) as u8];
        nal.extend(ATSC_CC_DATA);
        nal.extend([0x40 | constructs.len() as u8, 0xff]);
        nal.extend(constructs.concat());
        nal.extend([0xff, 0x80]);
        nal
    }

    fn gather(units: &[Vec<u8>]) -> Captions {
        let mut gatherer = Gatherer::default();
        units.iter().for_each(|unit| gatherer.sei(unit, 1));
        gatherer.found()
    }

    #[test]
    fn padding_is_nothing() {
        assert!(gather(&[sei(&[[0xfc, 0x80, 0x80], [0xfd, 0x80, 0x80], [0xfa, 0, 0]])]).is_empty());
        assert!(gather(&[vec![6, 4, 200, 0xb5], vec![6], vec![]]).is_empty());
    }

    #[test]
    fn channels_of_both_fields() {
        // Resume caption loading on data channel 1 of field 1, text; on data channel 2 of field 2, text.
        let found = gather(&[sei(&[[0xfc, 0x94, 0x20], [0xfd, 0x1d, 0x20]]), sei(&[[0xfc, 0x61, 0x62]])]);
        assert_eq!(found.channels().collect::<Vec<_>>(), [1, 4]);
        // Text without a control code belongs to no channel yet; invalid pairs do not count.
        assert!(gather(&[sei(&[[0xfc, 0x61, 0x62], [0xf8, 0x94, 0x20]])]).is_empty());
        // Extended data services in field 2.
        assert!(gather(&[sei(&[[0xfd, 0x01, 0x03], [0xfd, 0x61, 0x62], [0xfd, 0x8f, 0x1d]])]).is_empty());
    }

    #[test]
    fn services_of_a_packet() {
        // Packet of 8 bytes: service 1 with two bytes, service 9 (extended) with one, end.
        let found = gather(&[sei(&[[0xff, 0x04, 0x22], [0xfe, 0x41, 0x42], [0xfe, 0xe1, 0x09], [0xfe, 0x43, 0x00]])]);
        assert_eq!(found.services().collect::<Vec<_>>(), [1, 9]);
        // A block that runs past its packet.
        assert!(gather(&[sei(&[[0xff, 0x01, 0x3f]])]).is_empty());
    }
}
