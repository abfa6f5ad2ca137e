//! Edges and how far each has come.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::deleted::Deletion;
use super::extract::{Body, Names, Query, present};
use super::page::{Page, PageQuery};
use super::{fields, found};
use crate::clock;
use crate::context::Context;
use crate::db::edges::Kind;
use crate::db::{documents, edges};
use crate::embedded::EDGE_NAME;
use crate::error::{ApiError, ApiResult};

/// An edge and how far it has come.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Edge {
    /// Unique name, which the edge knows as its variable `edge_name`.
    name: String,
    /// Base URL at which the control plane and viewers reach it.
    url: String,
    /// How it came to be known.
    kind: Kind,
    /// Revision of the documents that it should have.
    desired_revision: i64,
    /// Revision of the documents that it has said it has. It is complete when both are equal.
    acknowledged_revision: i64,
    /// What went wrong with the last push, if it did.
    last_error: Option<String>,
    /// When it last answered a push (RFC 3339).
    last_contact: Option<String>,
    /// When it was made known (RFC 3339).
    created_at: String,
}

/// A new edge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEdge {
    /// Unique name, any but `embedded`.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    name: String,
    /// Base URL, http or https, without query, fragment or user.
    #[schema(max_length = 512, pattern = "^https?://[^/?#@ ]+(/[^?# ]*)?$", example = "https://edge1.example.com")]
    url: String,
}

/// Changes of an edge. It is sent all documents again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgePatch {
    /// Another name.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    /// Another base URL.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_length = 512, pattern = "^https?://[^/?#@ ]+(/[^?# ]*)?$", nullable = false)]
    url: Option<String>,
}

impl Edge {
    fn new(row: edges::Edge, desired_revision: i64) -> Self {
        Self {
            name: row.name,
            url: row.url,
            kind: row.kind,
            desired_revision,
            acknowledged_revision: row.acknowledged_revision,
            last_error: row.last_error,
            last_contact: row.last_contact.map(clock::rfc3339),
            created_at: clock::rfc3339(row.created_at),
        }
    }
}

/// Registers an edge, which is sent all documents
#[utoipa::path(post, path = "/v1/edges", tag = "edges", operation_id = "createEdge", request_body = NewEdge,
    responses((status = 201, description = "The edge", body = Edge), (status = 409, description = "The name is taken")))]
pub async fn create(
    State(context): State<Context>,
    Body(new): Body<NewEdge>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<Edge>)> {
    check_name(&new.name)?;
    let url = fields::base_url("/url", &new.url)?;
    let mut tx = context.db.write().await?;
    check_free(&mut tx, &new.name).await?;
    edges::insert(&mut tx, &new.name, &url, clock::now_ms()).await?;
    let edge = load(&mut tx, &new.name).await?;
    tx.commit().await?;
    context.push_wake.wake();
    let location = [(header::LOCATION, format!("/v1/edges/{}", edge.name))];
    Ok((StatusCode::CREATED, location, Json(edge)))
}

/// Lists edges with desired and acknowledged revision
#[utoipa::path(get, path = "/v1/edges", tag = "edges", operation_id = "listEdges", params(PageQuery),
    responses((status = 200, description = "One page", body = Page<Edge>)))]
pub async fn list(State(context): State<Context>, Query(query): Query<PageQuery>) -> ApiResult<Json<Page<Edge>>> {
    let rows = query.rows()?;
    let mut tx = context.db.snapshot().await?;
    let desired = documents::revision(&mut tx).await?;
    let rows = edges::list(&mut tx, rows).await?;
    Ok(Json(query.page(rows, |row| row.id, |row| Edge::new(row, desired))?))
}

/// Shows an edge
#[utoipa::path(get, path = "/v1/edges/{edge}", tag = "edges", operation_id = "getEdge",
    params(("edge" = String, Path, description = "Name of the edge")),
    responses((status = 200, description = "The edge", body = Edge)))]
pub async fn get(State(context): State<Context>, Names(name): Names<String>) -> ApiResult<Json<Edge>> {
    Ok(Json(load(&mut *context.db.snapshot().await?, &name).await?))
}

/// Changes an edge
#[utoipa::path(patch, path = "/v1/edges/{edge}", tag = "edges", operation_id = "updateEdge",
    params(("edge" = String, Path, description = "Name of the edge")), request_body = EdgePatch,
    responses((status = 200, description = "The edge as it is now", body = Edge),
              (status = 409, description = "The name is taken, or the edge is the embedded one")))]
pub async fn patch(
    State(context): State<Context>,
    Names(name): Names<String>,
    Body(patch): Body<EdgePatch>,
) -> ApiResult<Json<Edge>> {
    let mut tx = context.db.write().await?;
    let row = found(edges::find(&mut tx, &name).await?, "edge", &name)?;
    check_registered(&row)?;
    let url = patch.url.map(|url| fields::base_url("/url", &url)).transpose()?.unwrap_or_else(|| row.url.clone());
    let new_name = patch.name.unwrap_or_else(|| row.name.clone());
    if new_name != row.name {
        check_name(&new_name)?;
        check_free(&mut tx, &new_name).await?;
    }
    if new_name != row.name || url != row.url {
        edges::update(&mut tx, row.id, &new_name, &url).await?;
    }
    let edge = load(&mut tx, &new_name).await?;
    tx.commit().await?;
    context.push_wake.wake();
    Ok(Json(edge))
}

/// Forgets an edge, which keeps the documents that it has
#[utoipa::path(delete, path = "/v1/edges/{edge}", tag = "edges", operation_id = "deleteEdge",
    params(("edge" = String, Path, description = "Name of the edge")),
    responses((status = 200, description = "What was removed", body = Deletion),
              (status = 409, description = "The edge is the embedded one")))]
pub async fn delete(State(context): State<Context>, Names(name): Names<String>) -> ApiResult<Json<Deletion>> {
    let mut tx = context.db.write().await?;
    let row = found(edges::find(&mut tx, &name).await?, "edge", &name)?;
    check_registered(&row)?;
    edges::delete(&mut tx, row.id).await?;
    tx.commit().await?;
    let mut deletion = Deletion::default();
    deletion.deleted.edges.push(row.name);
    Ok(Json(deletion))
}

async fn load(db: &mut SqliteConnection, name: &str) -> ApiResult<Edge> {
    let desired = documents::revision(db).await?;
    Ok(Edge::new(found(edges::find(db, name).await?, "edge", name)?, desired))
}

fn check_name(name: &str) -> ApiResult<()> {
    fields::name("/name", name)?;
    if name == EDGE_NAME {
        let detail = format!("{EDGE_NAME} is the edge inside the control plane; choose another name");
        return Err(ApiError::invalid("/name", detail));
    }
    Ok(())
}

fn check_registered(row: &edges::Edge) -> ApiResult<()> {
    match row.kind {
        Kind::Registered => Ok(()),
        Kind::Embedded => {
            let detail = "this edge runs inside the control plane; start it with --no-embedded-edge to be rid of it";
            Err(ApiError::conflict(None, detail))
        }
    }
}

async fn check_free(db: &mut SqliteConnection, name: &str) -> ApiResult<()> {
    match edges::find(db, name).await? {
        None => Ok(()),
        Some(_) => {
            Err(ApiError::conflict(Some("/name"), format!("there is an edge {name} already; choose another name")))
        }
    }
}
