//! Writing of big-endian numbers, boxes and variable-length numbers to a growing buffer.

/// What the writers of this crate need of a buffer.
pub trait Writer {
    /// Appends a 16-bit number.
    fn u16(&mut self, value: u16);
    /// Appends a 32-bit number.
    fn u32(&mut self, value: u32);
    /// Appends a 64-bit number.
    fn u64(&mut self, value: u64);
    /// Appends an unsigned LEB128 number.
    fn varint(&mut self, value: u64);
    /// Appends a signed number in zigzag form.
    fn zigzag(&mut self, value: i64);
    /// Appends a length as a varint and then the bytes.
    fn blob(&mut self, bytes: &[u8]);
    /// Appends an ISO BMFF box whose content `fill` writes (ISO/IEC 14496-12, 4.2).
    fn boxed(&mut self, kind: &[u8; 4], fill: impl FnOnce(&mut Self));
    /// Appends a full box: a box with a version and flags.
    fn full_box(&mut self, kind: &[u8; 4], version: u8, flags: u32, fill: impl FnOnce(&mut Self));
}

impl Writer for Vec<u8> {
    fn u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn zigzag(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn boxed(&mut self, kind: &[u8; 4], fill: impl FnOnce(&mut Self)) {
        let start = self.len();
        self.u32(0);
        self.extend_from_slice(kind);
        fill(self);
        let size = (self.len() - start) as u32;
        self[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }

    fn full_box(&mut self, kind: &[u8; 4], version: u8, flags: u32, fill: impl FnOnce(&mut Self)) {
        self.boxed(kind, |b| {
            b.u32(u32::from(version) << 24 | flags);
            fill(b);
        });
    }
}
