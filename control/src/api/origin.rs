//! What edges read: media, indexes and documents.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use packager::config::{ASSET_HEADER, BYTES_HEADER, Body as DocumentBody, Document, EDGE_HEADER, is_storage_path};
use packager::limits::MAX_WARNINGS;
use sqlx::SqliteConnection;

use super::extract::Names;
use crate::archive::{Conditions, RangeRequest, Storage, Unopened};
use crate::context::Context;
use crate::db::assets::Status;
use crate::db::{assets, channels, documents, edges, indexes, source_warnings, sources};
use crate::error::{ApiError, ApiResult};
use crate::protect;

/// Routes of the origin; a bearer token is checked before them.
pub fn router() -> Router<Context> {
    Router::new()
        .route("/origin/v1/media/{*path}", get(media))
        .route("/origin/v1/indexes/{*path}", get(index))
        .route("/origin/v1/documents/{*key}", get(document))
}

async fn media(
    State(context): State<Context>,
    Names(path): Names<String>,
    method: Method,
    headers: HeaderMap,
) -> ApiResult<Response> {
    // Only what an asset names is served, and what lies beside that for playlists, and what was pushed to a channel: the
    // token is no key to everything in the storage.
    let mut db = context.db.read().await?;
    let known = is_storage_path(&path) && (is_live(&mut db, &path).await? || sources::is_known(&mut db, &path).await?);
    drop(db);
    if !known {
        return Err(ApiError::not_found("no asset has such a source"));
    }
    let answer = send(&context.media, &path, &method, &headers).await;
    if let Err(problem) = &answer
        && matches!(problem.status(), StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED)
    {
        note(&context, &path, &headers, problem.detail()).await?;
    }
    answer
}

/// Whether a path is below the folder of a channel's objects, `live/{uid}/`.
async fn is_live(db: &mut SqliteConnection, path: &str) -> sqlx::Result<bool> {
    match path.strip_prefix("live/").and_then(|rest| rest.split_once('/')) {
        Some((uid, _)) => channels::has_objects(db, uid).await,
        None => Ok(false),
    }
}

/// Notes on the asset that a read was for that a stored object is no longer what was indexed.
async fn note(context: &Context, path: &str, headers: &HeaderMap, what: &str) -> sqlx::Result<()> {
    let Some((group, name)) = text(headers, ASSET_HEADER).and_then(|value| value.split_once('/')) else {
        return Ok(());
    };
    let bytes = text(headers, BYTES_HEADER).and_then(|value| value.parse().ok());
    let Some(bytes) = bytes else { return Ok(()) };
    let object = sources::Expected { path, bytes, etag: text(headers, header::IF_MATCH.as_str()) };
    let limit = i64::try_from(MAX_WARNINGS).unwrap_or(i64::MAX);
    let mut db = context.db.read().await?;
    let Some(asset) = assets::find(&mut db, name).await? else { return Ok(()) };
    // An edge that has not heard of the last ingest yet may expect what was there before.
    if asset.packaging_group != group
        || asset.status != Status::Playable
        || !sources::is_expected(&mut db, asset.id, &object).await?
        || !source_warnings::is_wanted(&mut db, asset.id, path, limit).await?
    {
        return Ok(());
    }
    drop(db);
    tracing::warn!(asset = name, path, what, "a source is no longer what was indexed");
    let warning = format!("{path}: {what}; what needs it cannot be played until the asset is ingested again");
    let mut tx = context.db.write().await?;
    if source_warnings::is_wanted(&mut tx, asset.id, path, limit).await? {
        source_warnings::insert(&mut tx, asset.id, path, &warning).await?;
    }
    tx.commit().await
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn index(
    State(context): State<Context>,
    Names(path): Names<String>,
    method: Method,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let mut db = context.db.read().await?;
    let known = is_storage_path(&path) && (is_live(&mut db, &path).await? || indexes::is_known(&mut db, &path).await?);
    drop(db);
    if !known {
        return Err(ApiError::not_found("no asset has such an index"));
    }
    send(&context.indexes, &path, &method, &headers).await
}

async fn send(storage: &Storage, path: &str, method: &Method, headers: &HeaderMap) -> ApiResult<Response> {
    let range = text(headers, header::RANGE.as_str()).and_then(RangeRequest::parse);
    let conditions = Conditions {
        if_match: text(headers, header::IF_MATCH.as_str()).map(str::to_owned),
        if_none_match: text(headers, header::IF_NONE_MATCH.as_str()).map(str::to_owned),
        bytes: text(headers, BYTES_HEADER).and_then(|value| value.parse().ok()),
    };
    let partial = range.is_some();
    let object = match storage.open_object(path, range, conditions, method == Method::HEAD).await {
        Ok(object) => object,
        Err(Unopened::Problem(problem)) => return Err(problem),
        Err(Unopened::NotModified) => return response(StatusCode::NOT_MODIFIED, HeaderMap::new(), Body::empty()),
    };
    let mut answer = HeaderMap::new();
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(object.range.end - object.range.start));
    if let Some(etag) = object.info.etag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        answer.insert(header::ETAG, etag);
    }
    if partial {
        let last = object.range.end.saturating_sub(1);
        let text = format!("bytes {}-{last}/{}", object.range.start, object.info.bytes);
        answer.insert(header::CONTENT_RANGE, HeaderValue::try_from(text).map_err(ApiError::internal)?);
    }
    let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    response(status, answer, Body::from_stream(object.stream))
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> ApiResult<Response> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

async fn document(
    State(context): State<Context>,
    Names(key): Names<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let json = documents::find(&mut *context.db.read().await?, &key).await?;
    let gone = || ApiError::not_found("there is no such document");
    let json = json.ok_or_else(gone)?;
    let document = Document::from_json(json.as_bytes()).map_err(ApiError::internal)?;
    if document.body == DocumentBody::Deleted {
        return Err(gone());
    }
    let json = match &document.body {
        DocumentBody::Keys(_) => sealed(&context, document, &headers).await?,
        _ => json.into_bytes(),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response(StatusCode::OK, headers, Body::from(json))
}

/// A document with keys, sealed for the edge that asks.
async fn sealed(context: &Context, document: Document, headers: &HeaderMap) -> ApiResult<Vec<u8>> {
    let edge = text(headers, EDGE_HEADER);
    let edge =
        edge.ok_or_else(|| ApiError::bad_request(format!("keys are sealed for an edge; name it as {EDGE_HEADER}")))?;
    if edges::find(&mut *context.db.read().await?, edge).await?.is_none() {
        return Err(ApiError::not_found("there is no edge of this name; register it with POST /v1/edges"));
    }
    let document =
        protect::documents::for_edge(context, edge, document).map_err(|e| ApiError::internal(format!("{e:#}")))?;
    Ok(document.to_json())
}
