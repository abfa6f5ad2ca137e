//! Collection tasks: ranges of channels that become assets.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};
use packager::config::is_storage_path;
use packager::limits::MAX_PATH_BYTES;
use packager::media::date;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::asset_view::Failure;
use super::deleted::Deletion;
use super::extract::{Body, Names, Query, present};
use super::page::{Page, PageQuery};
use super::{assets, channels, fields, found, protection};
use crate::clock;
use crate::context::Context;
use crate::db::harvests::{self, Harvest, HarvestStatus, NewHarvest};
use crate::db::{self, endpoints, indexes};
use crate::error::{ApiError, ApiResult};
use crate::harvest::{MAX_HARVEST_AHEAD_MS, MAX_HARVEST_MS};
use crate::protect;
use crate::push::documents;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Where the media of channels is; no task copies there.
const LIVE_FOLDER: &str = "live";
/// What the name of a copied object has at most, the slash before it included.
const NAME_BYTES: usize = 32;

/// A range of a channel that becomes an asset.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CollectionTask {
    /// Number of the task.
    id: i64,
    /// Name of the channel group.
    channel_group: String,
    /// Name of the channel.
    channel: String,
    /// Name of the endpoint by whose time shift it was made.
    endpoint: String,
    /// Where the range begins (RFC 3339).
    start: String,
    /// Where the range ends (RFC 3339).
    end: String,
    /// The folder in the media storage that the media is copied to.
    storage_path: String,
    /// Name of the asset. There is one once the task is COPYING.
    asset: String,
    /// Name of the packaging group of the asset; `null` when it was removed.
    packaging_group: Option<String>,
    /// Id of the content at key servers, which the asset gets.
    content_id: Option<String>,
    /// Where it is.
    status: HarvestStatus,
    /// Why it failed; of a task that is under way, why it does not go on now. It is tried again then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failure: Option<Failure>,
    /// How much of the media is copied.
    progress: CollectionProgress,
    /// When it was made (RFC 3339).
    created_at: String,
    /// When it finished, failed or was cancelled (RFC 3339).
    ended_at: Option<String>,
}

/// How much of the media of a range is copied. All is 0 until the task is COPYING.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CollectionProgress {
    /// Objects that are copied.
    objects_done: u64,
    /// All objects.
    objects_total: u64,
    /// Bytes that are copied.
    bytes_done: u64,
    /// All bytes.
    bytes_total: u64,
}

/// A new collection task.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCollectionTask {
    /// Name of an endpoint of the channel that has time shift.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    endpoint: String,
    /// Where the range begins (RFC 3339); not before the time shift of the endpoint.
    #[schema(format = DateTime)]
    start: String,
    /// Where the range ends (RFC 3339): at most 24 hours after its start, and at most 24 hours from now. The task waits until then.
    #[schema(format = DateTime)]
    end: String,
    /// A folder of the media storage, which is empty and which the task has for itself; not below `live`.
    #[schema(min_length = 1, max_length = 992)]
    storage_path: String,
    /// Name of the asset that the range becomes; any but `batch`.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    asset: String,
    /// Name of an existing packaging group, which the asset will be in.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    packaging_group: String,
    /// Id of the content at key servers; needed when a configuration of the packaging group protects.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    content_id: Option<String>,
}

impl From<Harvest> for CollectionTask {
    fn from(row: Harvest) -> Self {
        Self {
            id: row.id,
            channel_group: row.channel_group,
            channel: row.channel,
            endpoint: row.endpoint,
            start: clock::rfc3339(row.start_ms),
            end: clock::rfc3339(row.end_ms),
            storage_path: row.storage_path,
            asset: row.asset,
            packaging_group: row.packaging_group,
            content_id: row.content_id,
            status: row.status,
            failure: row.failure.map(|reason| Failure { reason }),
            progress: CollectionProgress {
                objects_done: row.objects_done.unsigned_abs(),
                objects_total: row.objects_total.unsigned_abs(),
                bytes_done: row.bytes_done.unsigned_abs(),
                bytes_total: row.bytes_total.unsigned_abs(),
            },
            created_at: clock::rfc3339(row.created_at),
            ended_at: row.ended_at.map(clock::rfc3339),
        }
    }
}

impl NewCollectionTask {
    /// Checks what needs nothing but the request. Answers the range, milliseconds since 1970.
    fn check(&self, now: i64) -> ApiResult<(i64, i64)> {
        fields::name("/endpoint", &self.endpoint)?;
        let (start, end) = (time("/start", &self.start)?, time("/end", &self.end)?);
        if end <= start {
            return Err(ApiError::invalid("/end", "the end has to be after the start"));
        }
        if end - start > MAX_HARVEST_MS {
            let hours = MAX_HARVEST_MS / 3_600_000;
            return Err(ApiError::invalid("/end", format!("a range has at most {hours} hours; make several tasks")));
        }
        if end > now.saturating_add(MAX_HARVEST_AHEAD_MS) {
            let hours = MAX_HARVEST_AHEAD_MS / 3_600_000;
            return Err(ApiError::invalid("/end", format!("the end may be at most {hours} hours from now")));
        }
        fields::storage_path("/storage_path", &self.storage_path)?;
        if self.storage_path.len() + NAME_BYTES > MAX_PATH_BYTES || !is_storage_path(&self.storage_path) {
            let most = MAX_PATH_BYTES - NAME_BYTES;
            return Err(ApiError::invalid("/storage_path", format!("use a folder of at most {most} bytes")));
        }
        if self.storage_path.split('/').next() == Some(LIVE_FOLDER) {
            return Err(ApiError::invalid("/storage_path", "the folder live is that of channels; use another one"));
        }
        fields::name("/asset", &self.asset)?;
        assets::check_name(&self.asset).map_err(|_| ApiError::invalid("/asset", "an asset cannot be called batch"))?;
        if let Some(content_id) = &self.content_id {
            fields::content_id("/content_id", content_id)?;
        }
        Ok((start, end))
    }
}

fn time(field: &str, text: &str) -> ApiResult<i64> {
    let time = date::parse(text).and_then(|ms| i64::try_from(ms).ok());
    time.ok_or_else(|| ApiError::invalid(field, "use a time as in RFC 3339, e.g. 2026-01-31T09:05:00Z"))
}

/// Adds a collection task: a range of the channel becomes an asset
#[utoipa::path(post, path = "/v1/channel-groups/{group}/channels/{channel}/collection-tasks", tag = "collection tasks",
    operation_id = "createCollectionTask",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel")),
    request_body = NewCollectionTask,
    responses((status = 202, description = "The task, which waits for the end of its range", body = CollectionTask),
              (status = 409, description = "The name of the asset or the folder is taken"),
              (status = 502, description = "The media storage failed")))]
pub async fn create(
    State(context): State<Context>,
    Names((group, channel)): Names<(String, String)>,
    Body(new): Body<NewCollectionTask>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<CollectionTask>)> {
    let now = clock::now_ms();
    let (start, end) = new.check(now)?;
    // Asked before the transaction: storage may take its time.
    let empty = context.media.is_empty(&new.storage_path).await.map_err(|error| ApiError::storage(&error))?;
    let mut tx = context.db.write().await?;
    let channel = channels::find(&mut tx, &group, &channel).await?;
    check_window(&mut tx, &channel, &new.endpoint, now, start).await?;
    let packaging_group = assets::find_group(&mut tx, &new.packaging_group).await?;
    protection::check_content_id(&mut tx, packaging_group.id, new.content_id.as_deref()).await?;
    check_free(&mut tx, &new, empty).await?;
    let row = NewHarvest {
        channel_id: channel.id,
        endpoint: &new.endpoint,
        start_ms: start,
        end_ms: end,
        storage_path: &new.storage_path,
        group_id: packaging_group.id,
        asset: &new.asset,
        content_id: new.content_id.as_deref(),
        now,
    };
    let id = harvests::insert(&mut tx, row).await?;
    let row = found(harvests::get(&mut tx, id).await?, "collection task", "")?;
    tx.commit().await?;
    context.harvest_wake.wake();
    let location = format!("/v1/channel-groups/{}/channels/{}/collection-tasks/{id}", row.channel_group, row.channel);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(row.into())))
}

/// Whether viewers of the endpoint may go back to where the range begins.
async fn check_window(
    db: &mut SqliteConnection,
    channel: &db::channels::Channel,
    endpoint: &str,
    now: i64,
    start: i64,
) -> ApiResult<()> {
    let Some(endpoint) = endpoints::find(db, channel.id, endpoint).await? else {
        let detail = format!("the channel has no endpoint {endpoint}");
        return Err(ApiError::invalid("/endpoint", detail));
    };
    if endpoint.time_shift_days == 0 {
        let detail = format!("the endpoint {} has no time shift; give it time_shift_days", endpoint.name);
        return Err(ApiError::invalid("/endpoint", detail));
    }
    let first = now.saturating_sub(endpoint.time_shift_days.saturating_mul(DAY_MS));
    if start < first {
        let detail = format!("the time shift of the endpoint {} begins {}", endpoint.name, clock::rfc3339(first));
        return Err(ApiError::invalid("/start", detail));
    }
    Ok(())
}

/// Whether nothing has the name of the asset or the folder; `empty` says that there are no objects in it.
async fn check_free(db: &mut SqliteConnection, new: &NewCollectionTask, empty: bool) -> ApiResult<()> {
    if let Some(row) = db::assets::find(db, &new.asset).await? {
        let detail = format!("there is an asset {} in the group {} already", row.name, row.packaging_group);
        return Err(ApiError::conflict(Some("/asset"), detail));
    }
    if let Some(task) = harvests::with_asset_name(db, &new.asset).await? {
        let detail =
            format!("the collection task {task} is going to make the asset {}; choose another name", new.asset);
        return Err(ApiError::conflict(Some("/asset"), detail));
    }
    let taken = |by: String| ApiError::conflict(Some("/storage_path"), format!("{by}; choose another folder"));
    if let Some(task) = harvests::with_folder(db, &new.storage_path).await? {
        return Err(taken(format!("the collection task {task} has this folder, one above it or one below it")));
    }
    if let Some(asset) = harvests::asset_with_folder(db, &new.storage_path).await? {
        return Err(taken(format!("the asset {asset} has media in this folder")));
    }
    if !empty {
        return Err(taken("there are objects in this folder".to_owned()));
    }
    Ok(())
}

/// Lists the collection tasks of a channel
#[utoipa::path(get, path = "/v1/channel-groups/{group}/channels/{channel}/collection-tasks", tag = "collection tasks",
    operation_id = "listCollectionTasks",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"), PageQuery),
    responses((status = 200, description = "One page", body = Page<CollectionTask>)))]
pub async fn list(
    State(context): State<Context>,
    Names((group, channel)): Names<(String, String)>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Json<Page<CollectionTask>>> {
    let rows = query.rows()?;
    let mut db = context.db.snapshot().await?;
    let channel = channels::find(&mut db, &group, &channel).await?;
    let rows = harvests::list(&mut db, Some(channel.id), rows).await?;
    Ok(Json(query.page(rows, |row| row.id, CollectionTask::from)?))
}

/// Lists the collection tasks of all channels
#[utoipa::path(get, path = "/v1/collection-tasks", tag = "collection tasks", operation_id = "listAllCollectionTasks",
    params(PageQuery),
    responses((status = 200, description = "One page", body = Page<CollectionTask>)))]
pub async fn list_all(
    State(context): State<Context>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Json<Page<CollectionTask>>> {
    let rows = harvests::list(&mut *context.db.read().await?, None, query.rows()?).await?;
    Ok(Json(query.page(rows, |row| row.id, CollectionTask::from)?))
}

/// Shows a collection task
#[utoipa::path(get, path = "/v1/channel-groups/{group}/channels/{channel}/collection-tasks/{task}", tag = "collection tasks",
    operation_id = "getCollectionTask",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"),
           ("task" = String, Path, description = "Number of the task")),
    responses((status = 200, description = "The task", body = CollectionTask)))]
pub async fn get(
    State(context): State<Context>,
    Names((group, channel, task)): Names<(String, String, String)>,
) -> ApiResult<Json<CollectionTask>> {
    let mut db = context.db.snapshot().await?;
    Ok(Json(find(&mut db, &group, &channel, &task).await?.into()))
}

/// Cancels a collection task that is under way or failed, and forgets one that is finished or cancelled
///
/// Of a task that is not finished, its asset and the copies that it made are removed, and it is shown as CANCELLED. The asset
/// of one that is finished stays, with its media.
#[utoipa::path(delete, path = "/v1/channel-groups/{group}/channels/{channel}/collection-tasks/{task}",
    tag = "collection tasks", operation_id = "deleteCollectionTask",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"),
           ("task" = String, Path, description = "Number of the task")),
    responses((status = 200, description = "What was removed", body = Deletion),
              (status = 409, description = "The copies of the task are still being removed")))]
pub async fn delete(
    State(context): State<Context>,
    Names((group, channel, task)): Names<(String, String, String)>,
) -> ApiResult<Json<Deletion>> {
    let mut tx = context.db.write().await?;
    let row = find(&mut tx, &group, &channel, &task).await?;
    let mut deletion = Deletion::default();
    match row.status {
        HarvestStatus::Waiting | HarvestStatus::Indexing | HarvestStatus::Copying => {
            cancel(&mut tx, &row, &mut deletion).await?;
        }
        HarvestStatus::Failed if row.asset_id.is_some() => cancel(&mut tx, &row, &mut deletion).await?,
        HarvestStatus::Finished | HarvestStatus::Failed | HarvestStatus::Cancelled if row.files => {
            let detail = "the copies of the task are still being removed; try again soon";
            return Err(ApiError::conflict(None, detail));
        }
        HarvestStatus::Finished | HarvestStatus::Failed | HarvestStatus::Cancelled => {
            harvests::delete(&mut tx, row.id).await?;
        }
    }
    tx.commit().await?;
    context.push_wake.wake();
    context.harvest_wake.wake();
    deletion.deleted.collection_tasks.push(row.id);
    Ok(Json(deletion))
}

/// Cancels a task and removes the asset that it made.
async fn cancel(db: &mut SqliteConnection, row: &Harvest, deletion: &mut Deletion) -> ApiResult<()> {
    let now = clock::now_ms();
    harvests::cancel(db, row.id, now).await?;
    let Some(id) = row.asset_id else { return Ok(()) };
    let Some(asset) = db::assets::get(db, id).await? else { return Ok(()) };
    documents::retract_asset(db, &asset).await?;
    protect::documents::retract_asset(db, &asset).await?;
    deletion.deleted.index_objects = indexes::release(db, id, now).await?;
    db::assets::delete(db, id).await?;
    deletion.deleted.assets.push(asset.name);
    Ok(())
}

/// The task of a channel with this number.
async fn find(db: &mut SqliteConnection, group: &str, channel: &str, task: &str) -> ApiResult<Harvest> {
    let channel = channels::find(db, group, channel).await?;
    let row = match task.parse::<i64>() {
        Ok(id) if id.to_string() == task => harvests::get(db, id).await?,
        _ => None,
    };
    found(row.filter(|row| row.channel_id == channel.id), "collection task", task)
}
