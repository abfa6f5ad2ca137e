//! Assets.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};
use packager::limits::MAX_SOURCES;
use serde::Deserialize;
use sqlx::SqliteConnection;
use utoipa::{IntoParams, ToSchema};

pub use super::asset_view::{Asset, PlaylistSource, Source};

use super::asset_view::playback_base;
use super::deleted::Deletion;
use super::extract::{Body, Names, Query, present};
use super::page::{Page, PageQuery};
use super::{fields, found, protection};
use crate::clock;
use crate::context::Context;
use crate::db::assets::Status;
use crate::db::{asset_keys, assets, folders, groups, harvests, indexes, source_warnings, sources};
use crate::error::{ApiError, ApiResult};
use crate::protect;
use crate::push::documents;

/// The one name that an asset cannot have: its path is that of batches.
const RESERVED_NAME: &str = "batch";

/// A new asset.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAsset {
    /// Unique name, part of the playback URLs; any but `batch`.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    name: String,
    /// Name of an existing packaging group.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    packaging_group: String,
    /// Id of the content at key servers; needed once a configuration of the group encrypts.
    #[schema(min_length = 1, max_length = 256)]
    content_id: Option<String>,
    /// Its media files: renditions, audio tracks and subtitles of one title. Either this or `source`.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_items = 1, max_items = 64, nullable = false)]
    sources: Option<Vec<Source>>,
    /// The HLS title that it is made from. Either this or `sources`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    source: Option<PlaylistSource>,
}

/// What an asset is made from.
enum Origin {
    Files(Vec<Source>),
    Playlist(PlaylistSource),
}

impl Origin {
    /// Checks what a request gives; `None` when it gives neither.
    fn read(sources: Option<Vec<Source>>, source: Option<PlaylistSource>) -> ApiResult<Option<Self>> {
        match (sources, source) {
            (Some(_), Some(_)) => Err(ApiError::invalid("/source", "give either sources or source, not both")),
            (Some(sources), None) => {
                check_sources(&sources)?;
                Ok(Some(Self::Files(sources)))
            }
            (None, Some(source)) => {
                source.check()?;
                Ok(Some(Self::Playlist(source)))
            }
            (None, None) => Ok(None),
        }
    }

    fn playlist(&self) -> Option<&str> {
        match self {
            Self::Files(_) => None,
            Self::Playlist(source) => Some(&source.path),
        }
    }

    async fn write_sources(self, db: &mut SqliteConnection, id: i64) -> ApiResult<()> {
        let Self::Files(list) = self else { return Ok(()) };
        for (position, source) in (0_i64..).zip(list) {
            sources::insert(db, id, position, &source.into()).await?;
        }
        Ok(())
    }
}

/// Changes of an asset.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetPatch {
    /// Another name. Playback URLs with the old one stop working.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    /// Name of another packaging group.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    packaging_group: Option<String>,
    /// Id of the content at key servers; `null` takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    content_id: Option<Option<String>>,
    /// Other media files, or the same ones when what is stored has changed: the asset is ingested again.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_items = 1, max_items = 64, nullable = false)]
    sources: Option<Vec<Source>>,
    /// An HLS title, or the same one when what is stored has changed: the asset is ingested again.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    source: Option<PlaylistSource>,
}

/// Which assets are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AssetFilter {
    /// Only those of this packaging group.
    #[param(nullable = false)]
    packaging_group: Option<String>,
    /// Only those with this status.
    #[param(nullable = false, inline)]
    status: Option<Status>,
}

/// Adds an asset, which is indexed after the answer
#[utoipa::path(post, path = "/v1/assets", tag = "assets", operation_id = "createAsset", request_body = NewAsset,
    responses((status = 202, description = "The asset, which waits to be indexed", body = Asset),
              (status = 409, description = "The name is taken")))]
pub async fn create(
    State(context): State<Context>,
    Body(new): Body<NewAsset>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<Asset>)> {
    let asset = add(&context, new).await?;
    let location = [(header::LOCATION, format!("/v1/assets/{}", asset.name))];
    Ok((StatusCode::ACCEPTED, location, Json(asset)))
}

/// Checks and stores a new asset and wakes the ingest.
pub(super) async fn add(context: &Context, new: NewAsset) -> ApiResult<Asset> {
    check_name(&new.name)?;
    if let Some(content_id) = &new.content_id {
        fields::content_id("/content_id", content_id)?;
    }
    let origin = Origin::read(new.sources, new.source)?;
    let neither = || ApiError::invalid("/sources", "give the media files, or an HLS playlist as `source`");
    let origin = origin.ok_or_else(neither)?;
    let mut tx = context.db.write().await?;
    let group = find_group(&mut tx, &new.packaging_group).await?;
    check_free(&mut tx, &new.name).await?;
    protection::check_content_id(&mut tx, group.id, new.content_id.as_deref()).await?;
    let row = assets::NewAsset {
        group_id: group.id,
        name: &new.name,
        content_id: new.content_id.as_deref(),
        playlist: origin.playlist(),
        now: clock::now_ms(),
    };
    let id = assets::insert(&mut tx, row).await?;
    origin.write_sources(&mut tx, id).await?;
    let row = assets::get(&mut tx, id).await?;
    let asset = Asset::load(&mut tx, found(row, "asset", &new.name)?, None).await?;
    tx.commit().await?;
    context.ingest_wake.wake();
    Ok(asset)
}

/// Lists assets
#[utoipa::path(get, path = "/v1/assets", tag = "assets", operation_id = "listAssets", params(PageQuery, AssetFilter),
    responses((status = 200, description = "One page", body = Page<Asset>)))]
pub async fn list(
    State(context): State<Context>,
    Query(query): Query<PageQuery>,
    Query(filter): Query<AssetFilter>,
) -> ApiResult<Json<Page<Asset>>> {
    let rows = query.rows()?;
    let mut tx = context.db.snapshot().await?;
    let base = playback_base(&context, &mut tx).await?;
    let rows = assets::list(&mut tx, filter.packaging_group.as_deref(), filter.status, rows).await?;
    let page = query.page(rows, |row| row.id, |row| row)?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(Asset::load(&mut tx, row, base.as_deref()).await?);
    }
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

/// Shows an asset
#[utoipa::path(get, path = "/v1/assets/{asset}", tag = "assets", operation_id = "getAsset",
    params(("asset" = String, Path, description = "Name of the asset")),
    responses((status = 200, description = "The asset", body = Asset)))]
pub async fn get(State(context): State<Context>, Names(name): Names<String>) -> ApiResult<Json<Asset>> {
    let mut tx = context.db.snapshot().await?;
    let row = found(assets::find(&mut tx, &name).await?, "asset", &name)?;
    let base = playback_base(&context, &mut tx).await?;
    Ok(Json(Asset::load(&mut tx, row, base.as_deref()).await?))
}

/// Changes an asset; with `sources` or `source` it is ingested again
#[utoipa::path(patch, path = "/v1/assets/{asset}", tag = "assets", operation_id = "updateAsset",
    params(("asset" = String, Path, description = "Name of the asset")), request_body = AssetPatch,
    responses((status = 200, description = "The asset as it is now", body = Asset),
              (status = 409, description = "The name is taken")))]
pub async fn patch(
    State(context): State<Context>,
    Names(name): Names<String>,
    Body(patch): Body<AssetPatch>,
) -> ApiResult<Json<Asset>> {
    let mut tx = context.db.write().await?;
    let before = found(assets::find(&mut tx, &name).await?, "asset", &name)?;
    let mut row = before.clone();
    if let Some(new) = patch.name.filter(|new| *new != row.name) {
        check_name(&new)?;
        check_free(&mut tx, &new).await?;
        row.name = new;
    }
    if let Some(group) = patch.packaging_group {
        let group = find_group(&mut tx, &group).await?;
        (row.group_id, row.packaging_group) = (group.id, group.name);
    }
    if let Some(content_id) = patch.content_id {
        if let Some(content_id) = &content_id {
            fields::content_id("/content_id", content_id)?;
        }
        row.content_id = content_id;
    }
    protection::check_content_id(&mut tx, row.group_id, row.content_id.as_deref()).await?;
    let origin = Origin::read(patch.sources, patch.source)?;
    if let Some(origin) = &origin {
        row.playlist = origin.playlist().map(str::to_owned);
    }
    assets::update(&mut tx, &row).await?;
    let moved = row.name != before.name || row.group_id != before.group_id;
    if moved {
        protect::documents::retract_asset(&mut tx, &before).await?;
    }
    if row.group_id != before.group_id {
        asset_keys::clear_asset(&mut tx, row.id).await?;
    } else if row.content_id != before.content_id {
        // Documents with keys of the old id stay until there are new ones.
        asset_keys::expire_asset(&mut tx, row.id).await?;
    }
    if let Some(origin) = origin {
        documents::retract_asset(&mut tx, &before).await?;
        indexes::release(&mut tx, row.id, clock::now_ms()).await?;
        sources::clear(&mut tx, row.id).await?;
        folders::clear(&mut tx, row.id).await?;
        harvests::release_asset(&mut tx, row.id, clock::now_ms()).await?;
        source_warnings::clear(&mut tx, row.id).await?;
        origin.write_sources(&mut tx, row.id).await?;
        assets::requeue(&mut tx, row.id, clock::now_ms()).await?;
    } else if moved {
        documents::retract_asset(&mut tx, &before).await?;
        documents::put_asset(&mut tx, &row).await?;
        let put = protect::documents::put_asset(&context, &mut tx, &row).await;
        put.map_err(|e| ApiError::internal(format!("{e:#}")))?;
    }
    let row = found(assets::get(&mut tx, row.id).await?, "asset", &name)?;
    let base = playback_base(&context, &mut tx).await?;
    let asset = Asset::load(&mut tx, row, base.as_deref()).await?;
    tx.commit().await?;
    context.ingest_wake.wake();
    context.keys_wake.wake();
    context.push_wake.wake();
    context.harvest_wake.wake();
    Ok(Json(asset))
}

/// Removes an asset; its media stays where it is
#[utoipa::path(delete, path = "/v1/assets/{asset}", tag = "assets", operation_id = "deleteAsset",
    params(("asset" = String, Path, description = "Name of the asset")),
    responses((status = 200, description = "What was removed", body = Deletion)))]
pub async fn delete(State(context): State<Context>, Names(name): Names<String>) -> ApiResult<Json<Deletion>> {
    let mut tx = context.db.write().await?;
    let row = found(assets::find(&mut tx, &name).await?, "asset", &name)?;
    documents::retract_asset(&mut tx, &row).await?;
    protect::documents::retract_asset(&mut tx, &row).await?;
    let mut deletion = Deletion::default();
    deletion.deleted.index_objects = indexes::release(&mut tx, row.id, clock::now_ms()).await?;
    harvests::release_asset(&mut tx, row.id, clock::now_ms()).await?;
    assets::delete(&mut tx, row.id).await?;
    tx.commit().await?;
    context.push_wake.wake();
    context.harvest_wake.wake();
    deletion.deleted.assets.push(row.name);
    Ok(Json(deletion))
}

pub(super) fn check_name(name: &str) -> ApiResult<()> {
    fields::name("/name", name)?;
    if name == RESERVED_NAME {
        return Err(ApiError::invalid("/name", "an asset cannot be called batch; choose another name"));
    }
    Ok(())
}

fn check_sources(sources: &[Source]) -> ApiResult<()> {
    if !(1..=MAX_SOURCES).contains(&sources.len()) {
        return Err(ApiError::invalid("/sources", format!("an asset has 1 to {MAX_SOURCES} sources")));
    }
    sources.iter().enumerate().try_for_each(|(i, source)| source.check(&format!("/sources/{i}")))
}

pub(super) async fn find_group(db: &mut SqliteConnection, name: &str) -> ApiResult<groups::Group> {
    fields::name("/packaging_group", name)?;
    groups::find(db, name).await?.ok_or_else(|| {
        let detail = format!("there is no packaging group {name}; make it with POST /v1/packaging-groups");
        ApiError::invalid("/packaging_group", detail)
    })
}

pub(super) async fn check_free(db: &mut SqliteConnection, name: &str) -> ApiResult<()> {
    if let Some(task) = harvests::with_asset_name(db, name).await? {
        let detail = format!("the collection task {task} is going to make the asset {name}; choose another name");
        return Err(ApiError::conflict(Some("/name"), detail));
    }
    match assets::find(db, name).await? {
        None => Ok(()),
        Some(row) => {
            let detail = format!("there is an asset {name} in the group {} already", row.packaging_group);
            Err(ApiError::conflict(Some("/name"), detail))
        }
    }
}
