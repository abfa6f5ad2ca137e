//! Health and metrics.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use crate::context::Context;
use crate::db::assets;
use crate::error::ApiResult;
use crate::telemetry;

/// Time in which each part has to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What `GET /healthz` answers: `ok` or what is wrong, for each part.
#[derive(Serialize)]
pub struct Health {
    status: &'static str,
    database: &'static str,
    media_storage: &'static str,
    index_storage: &'static str,
    embedded_edge: &'static str,
}

/// 200 when every part answers, else 503.
pub async fn health(State(context): State<Context>) -> (StatusCode, Json<Health>) {
    let (database, media_storage, index_storage, embedded_edge) = tokio::join!(
        within(context.db.check()),
        within(context.media.check()),
        within(context.indexes.check()),
        embedded_edge(&context),
    );
    let parts = [database, media_storage, index_storage, embedded_edge];
    let good = parts.iter().all(|part| matches!(*part, "ok" | "none"));
    let (code, status) = if good { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "failing") };
    (code, Json(Health { status, database, media_storage, index_storage, embedded_edge }))
}

async fn within<T, E: std::fmt::Display>(check: impl Future<Output = Result<T, E>>) -> &'static str {
    match tokio::time::timeout(TIMEOUT, check).await {
        Ok(Ok(_)) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(%error, "a health check failed");
            "failing"
        }
        Err(_) => "no answer in time",
    }
}

async fn embedded_edge(context: &Context) -> &'static str {
    let Some(url) = &context.embedded_edge else { return "none" };
    let ask = async {
        let request = Request::get(format!("{url}/healthz")).body(Full::new(Bytes::new()))?;
        let (status, _) = context.client.send(request).await?;
        anyhow::ensure!(status.is_success(), "the embedded edge answered {status}");
        Ok::<_, anyhow::Error>(())
    };
    within(ask).await
}

/// Metrics in the text format of Prometheus.
pub async fn metrics(State(context): State<Context>) -> ApiResult<([(header::HeaderName, &'static str); 1], String)> {
    for status in ["QUEUED", "PROCESSING", "PLAYABLE", "FAILED"] {
        metrics::gauge!("control_assets", "status" => status).set(0.0);
    }
    for (status, count) in assets::count_by_status(&mut *context.db.read().await?).await? {
        metrics::gauge!("control_assets", "status" => status).set(count as f64);
    }
    let handle = telemetry::metrics();
    handle.run_upkeep();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()))
}
