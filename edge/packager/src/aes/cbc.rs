//! One long CBC chain, as HLS wants it (RFC 8216, 4.3.2.4, `METHOD=AES-128`): a whole segment, padded with PKCS #7.

use super::{BLOCK_BYTES, Block, Key};

/// A CBC chain over a stream that is given in pieces.
pub struct Cbc {
    chain: Block,
}

impl Cbc {
    /// A chain that begins from `iv`.
    pub fn new(iv: [u8; BLOCK_BYTES]) -> Self {
        Self { chain: iv }
    }

    /// Encrypts the whole blocks at the beginning of `data` in place and gives back how many bytes they are. What is
    /// left, fewer than 16 bytes, stays clear: give it again with what follows it, or to [`Cbc::finish`].
    pub fn apply(&mut self, key: &Key, data: &mut [u8]) -> usize {
        let (blocks, _) = data.as_chunks_mut::<BLOCK_BYTES>();
        key.0.encrypt_chain(&mut self.chain, blocks);
        blocks.len() * BLOCK_BYTES
    }

    /// Encrypts the last bytes of the stream, any number of them, with the padding, and appends them to `out`.
    /// The whole output is [`padded_bytes`] long.
    pub fn finish(mut self, key: &Key, last: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(last);
        let padding = BLOCK_BYTES - last.len() % BLOCK_BYTES;
        out.resize(out.len() + padding, padding as u8);
        self.apply(key, out.get_mut(start..).unwrap_or_default());
    }
}

/// Bytes that `bytes` bytes become with the padding: at least one more, a multiple of 16.
pub fn padded_bytes(bytes: u64) -> u64 {
    (bytes / BLOCK_BYTES as u64 + 1).saturating_mul(BLOCK_BYTES as u64)
}
