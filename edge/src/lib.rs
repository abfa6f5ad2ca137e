//! The edge component: HTTP in, the packager's job loop, HTTP out. It knows documents, byte ranges and HTTP; it knows
//! nothing about media.
//!
//! Everything but `wasi.rs` is generic over [`platform::Platform`] and compiles natively too, where tests drive it.

pub mod admin;
pub mod answer;
pub mod cache;
pub mod conditional;
pub mod deliver;
pub mod health;
pub mod http;
pub mod live;
pub mod making;
pub mod origin;
pub mod platform;
pub mod problem;
pub mod range;
pub mod serve;
pub mod settings;
pub mod store;
pub mod timeline;
pub mod timing;
pub mod transfer;
pub mod viewer;
pub mod vod;

#[cfg(target_family = "wasm")]
mod wasi;

#[cfg(test)]
mod tests;
