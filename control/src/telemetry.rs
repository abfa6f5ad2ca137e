//! Logs, metrics and request ids.

use std::sync::OnceLock;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::Instrument as _;
use tracing_subscriber::EnvFilter;

/// Header that carries the id of a request, taken from the client when it is a plain name.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Upper bounds of the histogram of request durations, in seconds.
const DURATION_BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

/// Writes JSON logs to standard error, filtered by `RUST_LOG` (by default `info`).
pub fn init_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false).with_env_filter(filter);
    if logs.with_writer(std::io::stderr).try_init().is_err() {
        tracing::debug!("logs were set up before");
    }
}

/// The metrics of this process; the first call makes them.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS);
        let recorder = match builder {
            Ok(builder) => builder.build_recorder(),
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is in use; /metrics stays empty");
        }
        describe();
        handle
    })
}

fn describe() {
    metrics::describe_counter!("control_http_requests_total", "Requests by method, route and status");
    metrics::describe_histogram!("control_http_request_seconds", "Time to the response's head by method and route");
    metrics::describe_counter!("control_ingests_total", "Finished ingests by result");
    metrics::describe_histogram!("control_ingest_seconds", "Duration of an ingest");
    metrics::describe_counter!("control_ingest_read_bytes_total", "Bytes of media read while indexing");
    metrics::describe_counter!("control_key_requests_total", "Requests for the keys of playable assets by result");
    metrics::describe_counter!("control_key_deliveries_total", "Requests for clear keys by kind and result");
    metrics::describe_counter!("control_live_uploads_total", "Uploads of encoders that were taken, by kind");
    metrics::describe_counter!("control_live_upload_bytes_total", "Bytes of uploads that were taken, by kind");
    metrics::describe_counter!("control_live_refused_total", "Uploads of encoders that were refused, by reason");
    metrics::describe_counter!("control_pushes_total", "Pushes to edges by edge and result");
    metrics::describe_gauge!("control_desired_revision", "Revision that every edge should have");
    metrics::describe_gauge!("control_acknowledged_revision", "Revision that an edge has acknowledged");
    metrics::describe_gauge!("control_assets", "Assets by status");
}

/// Middleware: gives the request an id, logs it and counts it.
pub async fn observe(matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| packager::config::is_name(id))
        .map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
    let method = request.method().clone();
    let route = matched.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id = %id, method = %method, path = request.uri().path());
    let start = Instant::now();
    async move {
        let mut response = next.run(request).await;
        let (status, elapsed) = (response.status(), start.elapsed());
        let labels = [("method", method.to_string()), ("route", route.clone())];
        metrics::histogram!("control_http_request_seconds", &labels).record(elapsed.as_secs_f64());
        let [method, route_label] = labels;
        let labels = [method, route_label, ("status", status.as_str().to_owned())];
        metrics::counter!("control_http_requests_total", &labels).increment(1);
        let microseconds = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        if route.starts_with("/v1/") || status.is_server_error() {
            tracing::info!(status = status.as_u16(), microseconds, "answered");
        } else {
            tracing::debug!(status = status.as_u16(), microseconds, "answered");
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
    .instrument(span)
    .await
}
