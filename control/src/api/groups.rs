//! Packaging groups.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::deleted::Deletion;
use super::extract::{Body, Names, Query, present};
use super::page::{Page, PageQuery};
use super::{fields, found};
use crate::clock;
use crate::context::Context;
use crate::db::{assets, configurations, groups, harvests, indexes};
use crate::error::{ApiError, ApiResult};
use crate::protect;
use crate::push::documents;

/// A packaging group: assets, and the configurations under which they are played.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PackagingGroup {
    /// Unique name, part of every playback URL.
    pub name: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
}

/// A new packaging group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPackagingGroup {
    /// Unique name, part of every playback URL.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    name: String,
}

/// Changes of a packaging group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PackagingGroupPatch {
    /// Another name. Playback URLs with the old one stop working.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
}

/// What else a deletion of a packaging group removes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Cascade {
    /// Whether the assets of the group are removed too; without it a group with assets is not removed.
    #[serde(default)]
    #[param(required = false, default = false)]
    cascade: bool,
}

impl From<groups::Group> for PackagingGroup {
    fn from(row: groups::Group) -> Self {
        Self { name: row.name, created_at: clock::rfc3339(row.created_at) }
    }
}

/// Adds a packaging group
#[utoipa::path(post, path = "/v1/packaging-groups", tag = "packaging groups", operation_id = "createPackagingGroup",
    request_body = NewPackagingGroup,
    responses((status = 201, description = "The new group", body = PackagingGroup),
              (status = 409, description = "The name is taken")))]
pub async fn create(
    State(context): State<Context>,
    Body(new): Body<NewPackagingGroup>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<PackagingGroup>)> {
    fields::name("/name", &new.name)?;
    let mut tx = context.db.write().await?;
    check_free(&mut tx, &new.name).await?;
    let row = groups::insert(&mut tx, &new.name, clock::now_ms()).await?;
    tx.commit().await?;
    let location = [(header::LOCATION, format!("/v1/packaging-groups/{}", row.name))];
    Ok((StatusCode::CREATED, location, Json(row.into())))
}

/// Lists packaging groups
#[utoipa::path(get, path = "/v1/packaging-groups", tag = "packaging groups", operation_id = "listPackagingGroups",
    params(PageQuery), responses((status = 200, description = "One page", body = Page<PackagingGroup>)))]
pub async fn list(
    State(context): State<Context>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Json<Page<PackagingGroup>>> {
    let rows = query.rows()?;
    let rows = groups::list(&mut *context.db.read().await?, rows).await?;
    Ok(Json(query.page(rows, |row| row.id, PackagingGroup::from)?))
}

/// Shows a packaging group
#[utoipa::path(get, path = "/v1/packaging-groups/{group}", tag = "packaging groups",
    operation_id = "getPackagingGroup", params(("group" = String, Path, description = "Name of the group")),
    responses((status = 200, description = "The group", body = PackagingGroup)))]
pub async fn get(State(context): State<Context>, Names(name): Names<String>) -> ApiResult<Json<PackagingGroup>> {
    let row = groups::find(&mut *context.db.read().await?, &name).await?;
    Ok(Json(found(row, "packaging group", &name)?.into()))
}

/// Changes a packaging group
#[utoipa::path(patch, path = "/v1/packaging-groups/{group}", tag = "packaging groups",
    operation_id = "updatePackagingGroup", params(("group" = String, Path, description = "Name of the group")),
    request_body = PackagingGroupPatch,
    responses((status = 200, description = "The group as it is now", body = PackagingGroup),
              (status = 409, description = "The name is taken")))]
pub async fn patch(
    State(context): State<Context>,
    Names(name): Names<String>,
    Body(patch): Body<PackagingGroupPatch>,
) -> ApiResult<Json<PackagingGroup>> {
    let mut tx = context.db.write().await?;
    let mut row = found(groups::find(&mut tx, &name).await?, "packaging group", &name)?;
    if let Some(new) = patch.name.filter(|new| *new != row.name) {
        fields::name("/name", &new)?;
        check_free(&mut tx, &new).await?;
        for configuration in configurations::all(&mut tx, row.id).await? {
            documents::retract_configuration(&mut tx, &configuration).await?;
            protect::documents::retract_configuration(&mut tx, &configuration).await?;
        }
        for asset in assets::of_group(&mut tx, row.id).await? {
            documents::retract_asset(&mut tx, &asset).await?;
        }
        groups::rename(&mut tx, row.id, &new).await?;
        for configuration in configurations::all(&mut tx, row.id).await? {
            documents::put_configuration(&mut tx, &configuration).await?;
        }
        for asset in assets::of_group(&mut tx, row.id).await? {
            documents::put_asset(&mut tx, &asset).await?;
            let put = protect::documents::put_asset(&context, &mut tx, &asset).await;
            put.map_err(|e| ApiError::internal(format!("{e:#}")))?;
        }
        tx.commit().await?;
        context.push_wake.wake();
        row.name = new;
    }
    Ok(Json(row.into()))
}

/// Removes a packaging group with its configurations and, when asked to, its assets
#[utoipa::path(delete, path = "/v1/packaging-groups/{group}", tag = "packaging groups",
    operation_id = "deletePackagingGroup", params(("group" = String, Path, description = "Name of the group"), Cascade),
    responses((status = 200, description = "What was removed", body = Deletion),
              (status = 409, description = "The group has assets and `cascade` is not set, or collection tasks make assets in it")))]
pub async fn delete(
    State(context): State<Context>,
    Names(name): Names<String>,
    Query(query): Query<Cascade>,
) -> ApiResult<Json<Deletion>> {
    let mut tx = context.db.write().await?;
    let row = found(groups::find(&mut tx, &name).await?, "packaging group", &name)?;
    let count = assets::count_of_group(&mut tx, row.id).await?;
    if count > 0 && !query.cascade {
        let detail = format!("the group has {count} assets; remove them first, or all at once with ?cascade=true");
        return Err(ApiError::conflict(None, detail));
    }
    let tasks = harvests::count_of_group(&mut tx, row.id).await?;
    if tasks > 0 {
        let detail = format!("{tasks} collection tasks are going to make assets in the group; cancel them first");
        return Err(ApiError::conflict(None, detail));
    }
    let mut deletion = Deletion::default();
    for asset in assets::of_group(&mut tx, row.id).await? {
        harvests::release_asset(&mut tx, asset.id, clock::now_ms()).await?;
        documents::retract_asset(&mut tx, &asset).await?;
        protect::documents::retract_asset(&mut tx, &asset).await?;
        deletion.deleted.index_objects.extend(indexes::release(&mut tx, asset.id, clock::now_ms()).await?);
        assets::delete(&mut tx, asset.id).await?;
        deletion.deleted.assets.push(asset.name);
    }
    for configuration in configurations::all(&mut tx, row.id).await? {
        documents::retract_configuration(&mut tx, &configuration).await?;
        configurations::delete(&mut tx, configuration.id).await?;
        deletion.deleted.configurations.push(configuration.name);
    }
    groups::delete(&mut tx, row.id).await?;
    tx.commit().await?;
    context.push_wake.wake();
    context.harvest_wake.wake();
    deletion.deleted.packaging_groups.push(row.name);
    Ok(Json(deletion))
}

async fn check_free(db: &mut sqlx::SqliteConnection, name: &str) -> ApiResult<()> {
    match groups::find(db, name).await? {
        None => Ok(()),
        Some(_) => {
            let detail = format!("there is a packaging group {name} already; choose another name");
            Err(ApiError::conflict(Some("/name"), detail))
        }
    }
}
