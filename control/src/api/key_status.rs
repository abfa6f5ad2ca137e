//! Whether the keys that a protection wants are there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::asset_keys::{KeyState, StoredKeys};

/// Whether an output has the keys that its protection wants. Without keys it is not played, and never in the clear.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct KeyStatus {
    /// FAILED ones are asked for again, and older keys are used until then if there are any.
    state: KeyState,
    /// Why they could not be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

impl From<Option<StoredKeys>> for KeyStatus {
    fn from(keys: Option<StoredKeys>) -> Self {
        let (state, reason) = keys.map_or((KeyState::Pending, None), |keys| (keys.state, keys.reason));
        Self { state, reason }
    }
}
