//! A transport packet (ISO/IEC 13818-1 clause 2.4.3.2) and its adaptation field (clause 2.4.3.4).

use super::{PACKET_BYTES, SYNC_BYTE};

/// Bytes before the adaptation field or the payload.
const HEADER_BYTES: usize = 4;

/// A transport packet taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// `transport_error_indicator`: the packet is known to be damaged.
    pub error: bool,
    /// `payload_unit_start_indicator`: a PES packet begins here, or a section does.
    pub unit_start: bool,
    /// Which stream it belongs to, 13 bits.
    pub pid: u16,
    /// `transport_scrambling_control`: 0 for clear.
    pub scrambling: u8,
    /// `continuity_counter`, 4 bits.
    pub continuity: u8,
    /// What the adaptation field says; nothing where there is none.
    pub adaptation: Adaptation,
    /// What it carries, if it carries anything.
    pub payload: Option<&'a [u8]>,
}

/// What an adaptation field says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adaptation {
    /// `discontinuity_indicator`: the clock or the continuity counter starts anew.
    pub discontinuity: bool,
    /// `random_access_indicator`.
    pub random_access: bool,
    /// `program_clock_reference` in ticks of 27 MHz.
    pub pcr: Option<u64>,
}

impl<'a> Packet<'a> {
    /// PID of a packet without taking it apart.
    pub fn peek_pid(packet: &[u8; PACKET_BYTES]) -> u16 {
        let [_, high, low, ..] = packet;
        u16::from(high & 0x1f) << 8 | u16::from(*low)
    }

    /// Takes a packet apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(packet: &'a [u8; PACKET_BYTES]) -> Result<Self, &'static str> {
        let [sync, flags, _, control, ..] = *packet;
        if sync != SYNC_BYTE {
            return Err("sync_byte is not 0x47");
        }
        let mut parsed = Self {
            error: flags & 0x80 != 0,
            unit_start: flags & 0x40 != 0,
            pid: Self::peek_pid(packet),
            scrambling: control >> 6,
            continuity: control & 15,
            adaptation: Adaptation::default(),
            payload: None,
        };
        let mut rest = packet.get(HEADER_BYTES..).unwrap_or_default();
        let (has_adaptation, has_payload) = (control & 0x20 != 0, control & 0x10 != 0);
        if !has_adaptation && !has_payload {
            return Err("adaptation_field_control is 0");
        }
        if has_adaptation {
            let (&length, after) = rest.split_first().ok_or("the packet is too short")?;
            let (field, after) = after
                .split_at_checked(usize::from(length))
                .ok_or("adaptation_field_length is larger than the packet")?;
            parsed.adaptation = Adaptation::parse(field);
            rest = after;
        }
        parsed.payload = has_payload.then_some(rest);
        Ok(parsed)
    }
}

impl Adaptation {
    /// Reads what follows `adaptation_field_length`. A PCR that is cut off is not there.
    fn parse(field: &[u8]) -> Self {
        let Some((&flags, rest)) = field.split_first() else { return Self::default() };
        let pcr = rest.first_chunk::<6>().filter(|_| flags & 0x10 != 0).map(|bytes| {
            let [a, b, c, d, e, f] = bytes.map(u64::from);
            let base = a << 25 | b << 17 | c << 9 | d << 1 | e >> 7;
            base * 300 + ((e & 1) << 8 | f)
        });
        Self { discontinuity: flags & 0x80 != 0, random_access: flags & 0x40 != 0, pcr }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(start: &[u8]) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        packet[..start.len()].copy_from_slice(start);
        packet
    }

    #[test]
    fn header_and_clock() {
        // Base 0x1_2345_6789, extension 0x0ab.
        let bytes = packet(&[0x47, 0x41, 0x00, 0x37, 7, 0xd0, 0x91, 0xa2, 0xb3, 0xc4, 0xfe, 0xab, 1, 2]);
        let p = Packet::parse(&bytes).unwrap();
        assert_eq!((p.pid, p.unit_start, p.error, p.scrambling, p.continuity), (0x100, true, false, 0, 7));
        assert_eq!((p.adaptation.discontinuity, p.adaptation.random_access), (true, true));
        assert_eq!(p.adaptation.pcr, Some(0x1_2345_6789 * 300 + 0xab));
        assert_eq!(p.payload.map(<[u8]>::len), Some(176));
    }

    #[test]
    fn what_is_broken() {
        assert!(Packet::parse(&packet(&[0x46])).is_err());
        assert!(Packet::parse(&packet(&[0x47, 0, 0, 0x00])).is_err());
        assert!(Packet::parse(&packet(&[0x47, 0, 0, 0x30, 184])).is_err());
        assert_eq!(Packet::parse(&packet(&[0x47, 0, 0, 0x30, 183])).unwrap().payload, Some([].as_slice()));
        // A PCR that its field has no room for.
        let bytes = packet(&[0x47, 0, 0, 0x30, 2, 0x10, 0]);
        assert_eq!(Packet::parse(&bytes).unwrap().adaptation.pcr, None);
    }
}
