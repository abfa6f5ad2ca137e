//! What a deletion removed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to a DELETE.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Deletion {
    /// What was removed.
    pub deleted: Deleted,
}

/// What was removed, with everything below it.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Names of packaging groups.
    pub packaging_groups: Vec<String>,
    /// Names of packaging configurations.
    pub configurations: Vec<String>,
    /// Names of assets. Their media stays in the media storage.
    pub assets: Vec<String>,
    /// Index objects, removed from their storage once no edge can still be reading them.
    pub index_objects: Vec<String>,
    /// Names of channel groups.
    pub channel_groups: Vec<String>,
    /// Names of channels. What was pushed to them is removed from storage once nobody can still be playing it.
    pub channels: Vec<String>,
    /// Names of endpoints.
    pub endpoints: Vec<String>,
    /// Collection tasks. The copies of one that was not finished are removed from the media storage.
    pub collection_tasks: Vec<i64>,
    /// Names of edges.
    pub edges: Vec<String>,
}
