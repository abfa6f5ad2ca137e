//! A sample (a frame) as it is stored.

/// A sample in decoding order; its decoding time is the sum of the durations before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where it starts in its source, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u32,
    /// Decoding time of the next sample minus its own, in ticks of the track.
    pub duration: u32,
    /// Composition time minus decoding time, in ticks of the track.
    pub composition_offset: i32,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Which sample entry describes it, counted from 1.
    pub description: u32,
}
