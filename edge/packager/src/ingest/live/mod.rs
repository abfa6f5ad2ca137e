//! From what an encoder pushes to the positions of a live timeline: [`Reader`] checks one segment, [`position`] makes a
//! position of those of all renditions. Both are sans-IO. `docs/live.md` describes what comes out.

mod layout;
mod position;
mod reader;

pub use layout::{Layout, Owner, Owners};
pub use position::{Position, Set, gap, position};
pub use reader::{Checked, Reader};
