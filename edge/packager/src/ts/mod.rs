//! MPEG-2 transport streams (ISO/IEC 13818-1): packets, program tables and packetized elementary streams.

pub mod packet;
pub mod pes;
pub mod psi;
pub mod sync;
pub mod write;

pub use packet::Packet;

/// Bytes of a transport packet.
pub const PACKET_BYTES: usize = 188;
/// `sync_byte`.
pub const SYNC_BYTE: u8 = 0x47;
/// PID of null packets.
pub const NULL_PID: u16 = 0x1fff;
