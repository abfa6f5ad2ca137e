//! The header of a PES packet (ISO/IEC 13818-1 clause 2.4.3.6).

/// `packet_start_code_prefix`, `stream_id`, `PES_packet_length`, two bytes of flags, `PES_header_data_length`.
const FIXED_BYTES: usize = 9;

/// A header that is followed by bytes of an elementary stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `stream_id`.
    pub stream_id: u8,
    /// Bytes of the header, from the start code prefix to the first byte of the elementary stream.
    pub bytes: usize,
    /// `PES_packet_length`; 0 when it is not said. It is not relied upon: the next start of a PES packet ends this one.
    pub packet_length: u16,
    /// `PES_scrambling_control`: 0 for clear.
    pub scrambling: u8,
    /// PTS, 33 bits in ticks of 90 kHz. None as well when its marker bits are wrong.
    pub pts: Option<u64>,
    /// DTS; where only a PTS is written it is the same.
    pub dts: Option<u64>,
}

impl Header {
    /// Reads a header from the start of a PES packet; None when more bytes are needed.
    ///
    /// # Errors
    /// What is wrong: no start code prefix, or a stream without elementary stream data.
    pub fn parse(data: &[u8]) -> Result<Option<Self>, &'static str> {
        let prefix = [0, 0, 1];
        if data.iter().zip(prefix).any(|(byte, wanted)| *byte != wanted) {
            return Err("packet_start_code_prefix is not 000001");
        }
        let Some(&[_, _, _, stream_id, high, low, marker, flags, header_length]) = data.first_chunk::<FIXED_BYTES>()
        else {
            return Ok(None);
        };
        // Program stream map, padding, private_stream_2, ECM, EMM, DSM-CC, H.222.1 type E, directory: clause 2.4.3.7.
        if matches!(stream_id, 0..=0xbc | 0xbe | 0xbf | 0xf0..=0xf2 | 0xf8 | 0xff) {
            return Err("stream_id is not of an elementary stream");
        }
        if marker >> 6 != 2 {
            return Err("the bits after PES_packet_length are not 10");
        }
        let bytes = FIXED_BYTES + usize::from(header_length);
        let Some(fields) = data.get(FIXED_BYTES..bytes) else { return Ok(None) };
        let (mut pts, mut dts) = (None, None);
        if flags & 0x80 != 0 {
            pts = timestamp(fields);
            dts = pts;
        }
        if flags & 0xc0 == 0xc0 && pts.is_some() {
            dts = timestamp(fields.get(5..).unwrap_or_default());
            // One of two that is broken makes both doubtful.
            pts = pts.filter(|_| dts.is_some());
        }
        let packet_length = u16::from_be_bytes([high, low]);
        Ok(Some(Self { stream_id, bytes, packet_length, scrambling: marker >> 4 & 3, pts, dts }))
    }
}

/// 33 bits in five bytes with three marker bits. The four bits in front are not checked: some multiplexers write others.
fn timestamp(bytes: &[u8]) -> Option<u64> {
    let [a, b, c, d, e] = bytes.first_chunk::<5>()?.map(u64::from);
    (a & c & e & 1 == 1).then_some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [u8; 19] =
        [0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10, 0x31, 0x00, 0x03, 0x00, 0x01, 0x1f, 0xff, 0xff, 0xff, 0xff];

    #[test]
    fn timestamps() {
        let h = Header::parse(&BOTH).unwrap().unwrap();
        assert_eq!((h.stream_id, h.bytes, h.pts, h.dts), (0xe0, 19, Some(1 << 15), Some((1 << 33) - 1)));
        let only_pts = [0, 0, 1, 0xc0, 0, 8, 0x80, 0x80, 5, 0x21, 0, 7, 0xd8, 0x61, 9];
        let h = Header::parse(&only_pts).unwrap().unwrap();
        assert_eq!((h.bytes, h.pts, h.dts, h.packet_length), (14, Some(126_000), Some(126_000), 8));
    }

    #[test]
    fn marker_bits() {
        for at in [9, 11, 13, 14, 16, 18] {
            let mut bad = BOTH;
            bad[at] &= 0xfe;
            let h = Header::parse(&bad).unwrap().unwrap();
            assert_eq!((h.pts, h.dts.filter(|_| at < 14)), (None, None), "byte {at}");
        }
    }

    #[test]
    fn any_part_of_a_header_needs_more() {
        for end in 0..BOTH.len() {
            assert_eq!(Header::parse(&BOTH[..end]), Ok(None), "{end} bytes");
        }
        assert!(Header::parse(&[0, 0, 2]).is_err());
        assert!(Header::parse(&[0, 0, 1, 0xbe, 0, 0, 0xff, 0xff, 0xff]).is_err());
        assert!(Header::parse(&[0, 0, 1, 0xe0, 0, 0, 0x40, 0, 0]).is_err());
        // Flags without room for what they promise.
        let h = Header::parse(&[0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 0]).unwrap().unwrap();
        assert_eq!((h.pts, h.dts, h.bytes), (None, None, 9));
    }
}
