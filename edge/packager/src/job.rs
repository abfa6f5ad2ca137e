//! The one contract of the core: a [`Job`] turns a [`Route`] into fetches and then into a [`Response`].
//!
//! The caller loops: [`Job::step`] says what to fetch, [`Job::supply`] brings it, until `step` says `Done`. Nothing here
//! waits, and nothing asks for more than the request needs.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::{Asset, PackagingConfiguration};
use crate::error::{Error, Result};
use crate::response::Response;
use crate::route::Route;

/// The documents that a route needs, found by [`Route::configuration_key`] and [`Route::asset_key`].
#[derive(Clone, Debug)]
pub struct Documents {
    /// The packaging configuration.
    pub configuration: Arc<PackagingConfiguration>,
    /// The asset.
    pub asset: Arc<Asset>,
}

/// Bytes of the asset's sidecar index that the job wants. They never change, so they are worth caching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// To be given back to [`Job::supply`].
    pub id: u32,
    /// Byte range of the index object ([`crate::config::IndexObject`]).
    pub range: Range<u64>,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Fetch all of these, in any order, and supply them.
    Fetch(Vec<Fetch>),
    /// The answer.
    Done(Response),
}

/// What a job learns from the head of an index under one configuration; kept, it spares the next job that work.
/// It belongs to one pair of asset document and configuration document.
#[derive(Debug)]
pub struct Prepared {}

impl Prepared {
    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        0
    }
}

/// The state machine of one request.
#[derive(Debug)]
pub struct Job {}

impl Job {
    /// Starts a job. `prepared` is what an earlier job for the same two documents learnt.
    ///
    /// # Errors
    /// `NotFound` when the route does not fit the documents.
    pub fn new(_route: Route, _documents: Documents, _prepared: Option<Arc<Prepared>>) -> Result<Self> {
        Err(Error::internal("being built"))
    }

    /// Says what to do next.
    ///
    /// # Errors
    /// `NotFound` for what is not in the asset, `BadSource` for an index that breaks its format.
    pub fn step(&mut self) -> Result<Step> {
        Err(Error::internal("being built"))
    }

    /// Brings the bytes of a fetch.
    ///
    /// # Errors
    /// `Upstream` when the length is not what was asked for.
    pub fn supply(&mut self, _id: u32, _bytes: Bytes) -> Result<()> {
        Err(Error::internal("being built"))
    }

    /// What this job learnt from the index's head, once it has it.
    pub fn prepared(&self) -> Option<Arc<Prepared>> {
        None
    }
}
