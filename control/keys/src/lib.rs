//! Content keys from key servers: SPEKE v1, v2.0 and v2.1 over CPIX.
//!
//! [`acquire`](acquire::acquire) is the one entry point of the control plane. Below it, [`contract`] says which keys a title
//! has, [`cpix`] writes and reads the documents, [`speke`] carries them, and [`encrypted`] opens keys that were encrypted to
//! us. Nothing here prints a key: types that hold one have neither `Debug` nor `Display`.

pub mod contract;
pub mod cpix;
pub mod kid;
pub mod limits;
pub mod scheme;
pub mod secret;
pub mod system;

#[cfg(feature = "client")]
pub mod acquire;
#[cfg(feature = "client")]
pub mod encrypted;
#[cfg(feature = "client")]
pub mod speke;
