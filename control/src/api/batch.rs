//! Many assets in one request.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MAX_BATCH_ASSETS;
use super::assets::{self, Asset, NewAsset};
use super::extract::{self, BatchBody};
use crate::context::Context;
use crate::error::{ApiError, ApiResult, Problem};

/// Assets to be added, each for itself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAssets {
    /// The assets. One that is refused does not keep the others out.
    #[schema(value_type = Vec<NewAsset>, min_items = 1, max_items = 256)]
    assets: Vec<serde_json::Value>,
}

/// What became of one asset of a batch.
#[derive(Serialize, ToSchema)]
pub struct BatchResult {
    /// Status code that a request with this asset alone would have had.
    status: u16,
    /// The asset, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    asset: Option<Asset>,
    /// Why it was refused, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem>,
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
pub struct BatchResults {
    /// One result for each asset, in the order of the request.
    results: Vec<BatchResult>,
}

/// Adds many assets, each accepted or refused for itself
#[utoipa::path(post, path = "/v1/assets/batch", tag = "assets", operation_id = "createAssets",
    request_body = NewAssets,
    responses((status = 207, description = "One result for each asset", body = BatchResults)))]
pub async fn create(
    State(context): State<Context>,
    BatchBody(batch): BatchBody<NewAssets>,
) -> ApiResult<(StatusCode, Json<BatchResults>)> {
    if !(1..=MAX_BATCH_ASSETS).contains(&batch.assets.len()) {
        return Err(ApiError::invalid("/assets", format!("a batch has 1 to {MAX_BATCH_ASSETS} assets")));
    }
    let mut results = Vec::with_capacity(batch.assets.len());
    for (i, value) in batch.assets.into_iter().enumerate() {
        let result = match extract::parse_value::<NewAsset>(value) {
            Ok(new) => assets::add(&context, new).await,
            Err(error) => Err(error),
        };
        results.push(match result {
            Ok(asset) => BatchResult { status: StatusCode::ACCEPTED.as_u16(), asset: Some(asset), problem: None },
            Err(error) => {
                let problem = error.below(&format!("/assets/{i}")).problem("/v1/assets/batch");
                BatchResult { status: problem.status, asset: None, problem: Some(problem) }
            }
        });
    }
    Ok((StatusCode::MULTI_STATUS, Json(BatchResults { results })))
}
