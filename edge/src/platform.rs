//! What the edge needs of the host that it runs in. `wasi.rs` implements it for the component, tests with a fake.
//!
//! An instance serves several requests at a time on one thread, so nothing here is `Send` and no implementation may hold
//! a borrow of shared state across an await.
#![allow(async_fn_in_trait, reason = "one thread, and no caller needs a bound on the futures")]

use std::time::Duration;

use crate::http::Headers;

/// Clocks, key-value store, variables and outgoing HTTP.
pub trait Platform: 'static {
    /// The body of a request that came in, or of a response that an origin sent.
    type Body: Body;

    /// Time since some moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn unix_ms(&self) -> u64;

    /// Waits.
    async fn sleep(&self, duration: Duration);

    /// The value of a variable.
    ///
    /// # Errors
    /// What the host says when it has none.
    async fn variable(&self, name: &str) -> Result<String, String>;

    /// The stored value of a key.
    ///
    /// # Errors
    /// What the host says when the store does not answer.
    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, String>;

    /// Stores a value under a key.
    ///
    /// # Errors
    /// What the host says when the store does not take it.
    async fn save(&self, key: &str, value: &[u8]) -> Result<(), String>;

    /// Sends a GET request and waits for the head of the response.
    ///
    /// # Errors
    /// What the host says when no response comes.
    async fn get(&self, request: Outgoing) -> Result<Incoming<Self::Body>, String>;
}

/// A body that arrives piece by piece.
pub trait Body: 'static {
    /// The next piece, never empty, or `None` at the proper end. `buffer` is empty; its capacity may be used.
    ///
    /// # Errors
    /// When the sender failed before the end.
    async fn chunk(&mut self, buffer: Vec<u8>) -> Result<Option<Vec<u8>>, String>;
}

/// Where the body of an answer goes.
pub trait Sink {
    /// Sends all of `bytes`, and gives the emptied buffer back.
    ///
    /// # Errors
    /// When the receiver is gone.
    async fn send(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, Closed>;
}

/// The receiver of a body is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A GET request to an origin. No `Debug`: its headers hold the origin token.
pub struct Outgoing {
    /// Absolute URL.
    pub url: String,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
}

/// A response of an origin.
pub struct Incoming<B> {
    /// Status code.
    pub status: u16,
    /// Header fields.
    pub headers: Headers,
    /// The rest.
    pub body: B,
}
