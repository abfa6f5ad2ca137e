//! The control plane of edgepack: owns the configuration, receives ingest, serves media and indexes to edges, and pushes
//! documents to every edge.
//!
//! [`server::serve`] runs all of it in this process, which is how the tests use it; the `control` binary adds options,
//! logs and signals.

pub mod api;
pub mod archive;
pub mod clock;
pub mod context;
pub mod db;
pub mod delivery;
pub mod embedded;
pub mod error;
pub mod harvest;
pub mod ingest;
pub mod jobs;
pub mod listen;
pub mod live;
pub mod locate;
pub mod options;
pub mod protect;
pub mod push;
pub mod secrets;
pub mod server;
pub mod telemetry;
pub mod vault;

pub use options::ServeOptions;
pub use server::{Server, serve};
