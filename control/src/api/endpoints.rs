//! Endpoints of live channels.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};
use serde::Deserialize;
use sqlx::SqliteConnection;
use utoipa::ToSchema;

pub use super::endpoint_view::Endpoint;

use super::access::AccessFields;
use super::channels;
use super::configurations::StreamOrder;
use super::deleted::Deletion;
use super::endpoint_protection;
use super::endpoint_view::edges_of;
use super::extract::{Body, Names, Query, present};
use super::page::{Page, PageQuery};
use super::{fields, found};
use crate::clock;
use crate::context::Context;
use crate::db::endpoints::{self, EndpointProtocol};
use crate::error::{ApiError, ApiResult};
use crate::protect::{self, Protection};
use crate::push::documents;

/// How far back viewers may go.
const TIME_SHIFT_DAYS: std::ops::RangeInclusive<i64> = 0..=30;
/// Seconds between two EXT-X-PROGRAM-DATE-TIME; with 0 every segment has one.
const PROGRAM_DATE_TIME_SECONDS: std::ops::RangeInclusive<i64> = 0..=3600;
/// `MPD@minBufferTime`.
const MIN_BUFFER_SECONDS: std::ops::RangeInclusive<i64> = 1..=30;
/// `MPD@minimumUpdatePeriod`.
const MIN_UPDATE_SECONDS: std::ops::RangeInclusive<i64> = 1..=3600;
/// `MPD@suggestedPresentationDelay`.
const PRESENTATION_DELAY_SECONDS: std::ops::RangeInclusive<i64> = 1..=60;
/// `MPD@timeShiftBufferDepth`.
const WINDOW_SECONDS: std::ops::RangeInclusive<i64> = 1..=3600;

/// What segments are like. In a change, what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpointSegment {
    /// Target duration of a segment; 6 unless it was said.
    #[serde(default, deserialize_with = "present")]
    #[schema(minimum = 1, maximum = 30, nullable = false)]
    duration_seconds: Option<i64>,
    /// Only of HLS: audio in segments and renditions of its own instead of in the segments of the video.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    audio_separation: Option<bool>,
}

/// What manifests say. In a change, what is left out stays, and `null` is what a new endpoint has.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpointManifest {
    /// Of HLS and HLS_CMAF: how many segments a playlist has; by default 10.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 2, maximum = 100)]
    segments: Option<Option<i64>>,
    /// Of HLS and HLS_CMAF: EXT-X-PROGRAM-DATE-TIME every so many seconds, 0 at every segment; by default never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 3600)]
    program_date_time_seconds: Option<Option<i64>>,
    /// Of DASH: `MPD@minBufferTime`; by default two segments.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 30)]
    min_buffer_seconds: Option<Option<i64>>,
    /// Of DASH: `MPD@minimumUpdatePeriod`; by default two segments.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3600)]
    min_update_seconds: Option<Option<i64>>,
    /// Of DASH: `MPD@suggestedPresentationDelay`; by default three segments.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 60)]
    presentation_delay_seconds: Option<Option<i64>>,
    /// Of DASH: `MPD@timeShiftBufferDepth`; by default ten segments.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3600)]
    window_seconds: Option<Option<i64>>,
    /// Order of the video renditions.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    stream_order: Option<StreamOrder>,
    /// Lowest video bit rate to offer, bits a second.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>, maximum = 1_000_000_000_000_u64)]
    min_video_bitrate: Option<Option<u64>>,
    /// Highest video bit rate to offer, bits a second.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>, maximum = 1_000_000_000_000_u64)]
    max_video_bitrate: Option<Option<u64>>,
}

/// A new endpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// Name, unique in its channel, part of the playback URL.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    name: String,
    /// Which output.
    protocol: EndpointProtocol,
    /// File name of the manifest without extension.
    #[serde(default = "default_manifest_name")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, default = "manifest")]
    manifest_name: String,
    /// Codes of which the header `Authorization` of viewers has to carry one; two during a change. They are not shown again.
    #[serde(default)]
    #[schema(max_items = 2, write_only)]
    authorization_codes: Vec<String>,
    /// Addresses and CIDR blocks that may play; everybody when empty.
    #[serde(default)]
    #[schema(max_items = 1024)]
    ip_allow: Vec<String>,
    /// Addresses and CIDR blocks that may not, whatever `ip_allow` says.
    #[serde(default)]
    #[schema(max_items = 1024)]
    ip_deny: Vec<String>,
    /// How many days back viewers may go; 0 when not at all.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 30, default = 0)]
    time_shift_days: i64,
    /// What segments are like.
    #[serde(default)]
    segment: NewEndpointSegment,
    /// What manifests say.
    #[serde(default)]
    manifest: NewEndpointManifest,
    /// What key servers are to call it; by default the names of group, channel and endpoint with dots between them. Endpoints with
    /// the same one may get the same keys.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    content_id: Option<String>,
    /// How its output is protected; by default it is in the clear. Without `clear_lead_segments`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    protection: Option<Protection>,
}

fn default_manifest_name() -> String {
    "manifest".to_owned()
}

/// Changes of an endpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointPatch {
    /// Another name. Playback URLs with the old one stop working.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    /// File name of the manifest without extension.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    manifest_name: Option<String>,
    /// All codes that are valid from now on, in place of those before.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 2, nullable = false, write_only)]
    authorization_codes: Option<Vec<String>>,
    /// Addresses and CIDR blocks that may play, in place of those before.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 1024, nullable = false)]
    ip_allow: Option<Vec<String>>,
    /// Addresses and CIDR blocks that may not, in place of those before.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 1024, nullable = false)]
    ip_deny: Option<Vec<String>>,
    /// How many days back viewers may go; 0 when not at all.
    #[serde(default, deserialize_with = "present")]
    #[schema(minimum = 0, maximum = 30, nullable = false)]
    time_shift_days: Option<i64>,
    /// What segments are like.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    segment: Option<NewEndpointSegment>,
    /// What manifests say.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    manifest: Option<NewEndpointManifest>,
    /// What key servers are to call it from now on. Keys are asked for anew.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    content_id: Option<String>,
    /// How its output is protected, in place of all that was said before; `null` puts it in the clear. Keys are asked for anew.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Protection>)]
    protection: Option<Option<Protection>>,
}

impl NewEndpointSegment {
    fn write(self, row: &mut endpoints::Endpoint) -> ApiResult<()> {
        row.segment_duration_seconds = self.duration_seconds.unwrap_or(row.segment_duration_seconds);
        fields::segment_duration("/segment/duration_seconds", row.segment_duration_seconds)?;
        if self.audio_separation.is_some() {
            only("/segment/audio_separation", row.protocol, &[EndpointProtocol::Hls])?;
        }
        row.audio_separation = self.audio_separation.unwrap_or(row.audio_separation);
        Ok(())
    }
}

impl NewEndpointManifest {
    fn write(self, row: &mut endpoints::Endpoint) -> ApiResult<()> {
        use EndpointProtocol::{Dash, Hls, HlsCmaf};
        let live_segments = packager::limits::LIVE_SEGMENTS;
        let live_segments = i64::from(*live_segments.start())..=i64::from(*live_segments.end());
        let (hls, dash) = (&[Hls, HlsCmaf][..], &[Dash][..]);
        let numbers = [
            ("segments", self.segments, &mut row.segments, hls, live_segments),
            (
                "program_date_time_seconds",
                self.program_date_time_seconds,
                &mut row.program_date_time_seconds,
                hls,
                PROGRAM_DATE_TIME_SECONDS,
            ),
            ("min_buffer_seconds", self.min_buffer_seconds, &mut row.min_buffer_seconds, dash, MIN_BUFFER_SECONDS),
            ("min_update_seconds", self.min_update_seconds, &mut row.min_update_seconds, dash, MIN_UPDATE_SECONDS),
            (
                "presentation_delay_seconds",
                self.presentation_delay_seconds,
                &mut row.presentation_delay_seconds,
                dash,
                PRESENTATION_DELAY_SECONDS,
            ),
            ("window_seconds", self.window_seconds, &mut row.window_seconds, dash, WINDOW_SECONDS),
        ];
        for (name, given, stored, protocols, range) in numbers {
            let Some(value) = given else { continue };
            let field = format!("/manifest/{name}");
            only(&field, row.protocol, protocols)?;
            if let Some(value) = value {
                fields::within(&field, value, range)?;
            }
            *stored = value;
        }
        if let Some(order) = self.stream_order {
            row.stream_order = order.as_str().to_owned();
        }
        let rate = |bitrate: Option<u64>| bitrate.map(|b| i64::try_from(b).unwrap_or(i64::MAX));
        row.min_video_bitrate = self.min_video_bitrate.map_or(row.min_video_bitrate, rate);
        row.max_video_bitrate = self.max_video_bitrate.map_or(row.max_video_bitrate, rate);
        let (min, max) = (row.min_video_bitrate, row.max_video_bitrate);
        fields::bitrates("/manifest", min.map(i64::unsigned_abs), max.map(i64::unsigned_abs))
    }
}

/// Refuses a field that endpoints of this protocol do not have.
fn only(field: &str, protocol: EndpointProtocol, protocols: &[EndpointProtocol]) -> ApiResult<()> {
    if protocols.contains(&protocol) {
        return Ok(());
    }
    let names: Vec<&str> = protocols.iter().copied().map(EndpointProtocol::as_str).collect();
    Err(ApiError::invalid(field, format!("only endpoints of protocol {} have this field", names.join(" and "))))
}

fn check(row: &endpoints::Endpoint) -> ApiResult<()> {
    fields::name("/name", &row.name)?;
    fields::name("/manifest_name", &row.manifest_name)?;
    fields::within("/time_shift_days", row.time_shift_days, TIME_SHIFT_DAYS)?;
    if let Some(content_id) = &row.content_id {
        fields::content_id("/content_id", content_id)?;
    }
    // What edges will check too.
    documents::endpoint(row)?.check().map_err(ApiError::internal)
}

/// Adds an endpoint
#[utoipa::path(post, path = "/v1/channel-groups/{group}/channels/{channel}/endpoints", tag = "endpoints",
    operation_id = "createEndpoint",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel")),
    request_body = NewEndpoint,
    responses((status = 201, description = "The new endpoint", body = Endpoint),
              (status = 409, description = "The name is taken")))]
pub async fn create(
    State(context): State<Context>,
    Names((group, channel)): Names<(String, String)>,
    Body(new): Body<NewEndpoint>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<Endpoint>)> {
    let mut tx = context.db.write().await?;
    let channel = channels::find(&mut tx, &group, &channel).await?;
    let mut row = endpoints::Endpoint {
        id: 0,
        channel_id: channel.id,
        channel_group: channel.channel_group,
        channel: channel.name,
        name: new.name,
        protocol: new.protocol,
        manifest_name: new.manifest_name,
        time_shift_days: new.time_shift_days,
        access: "{}".to_owned(),
        segment_duration_seconds: documents::DEFAULT_SEGMENT_SECONDS.into(),
        audio_separation: false,
        stream_order: StreamOrder::default().as_str().to_owned(),
        min_video_bitrate: None,
        max_video_bitrate: None,
        segments: None,
        program_date_time_seconds: None,
        min_buffer_seconds: None,
        min_update_seconds: None,
        presentation_delay_seconds: None,
        window_seconds: None,
        content_id: new.content_id,
        protection: None,
        protection_sealed: None,
        protection_revision: 0,
        created_at: clock::now_ms(),
    };
    let access = AccessFields {
        authorization_codes: Some(new.authorization_codes),
        ip_allow: Some(new.ip_allow),
        ip_deny: Some(new.ip_deny),
    };
    access.write(&mut row.access)?;
    new.segment.write(&mut row)?;
    new.manifest.write(&mut row)?;
    check(&row)?;
    check_free(&mut tx, &row).await?;
    if let Some(wanted) = &new.protection {
        endpoint_protection::check(&context, wanted, &row)?;
        endpoint_protection::name(&mut row)?;
    }
    row.id = endpoints::insert(&mut tx, &row).await?;
    if new.protection.is_some() {
        endpoint_protection::write(&context, &mut tx, &mut row, new.protection.as_ref()).await?;
    }
    documents::put_endpoint(&mut tx, &row).await?;
    let edges = edges_of(&context, &mut tx).await?;
    let made = Endpoint::load(&mut tx, &row, &edges).await?;
    tx.commit().await?;
    context.push_wake.wake();
    context.keys_wake.wake();
    let location = format!("{}/{}", path(&row), row.name);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(made)))
}

/// Path of the endpoints of the channel of one.
fn path(row: &endpoints::Endpoint) -> String {
    format!("/v1/channel-groups/{}/channels/{}/endpoints", row.channel_group, row.channel)
}

/// Lists the endpoints of a channel
#[utoipa::path(get, path = "/v1/channel-groups/{group}/channels/{channel}/endpoints", tag = "endpoints",
    operation_id = "listEndpoints",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"), PageQuery),
    responses((status = 200, description = "One page", body = Page<Endpoint>)))]
pub async fn list(
    State(context): State<Context>,
    Names((group, channel)): Names<(String, String)>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Json<Page<Endpoint>>> {
    let rows = query.rows()?;
    let mut db = context.db.snapshot().await?;
    let channel = channels::find(&mut db, &group, &channel).await?;
    let rows = endpoints::list(&mut db, channel.id, rows).await?;
    let edges = edges_of(&context, &mut db).await?;
    let page = query.page(rows, |row| row.id, |row| row)?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in &page.items {
        items.push(Endpoint::load(&mut db, row, &edges).await?);
    }
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

/// Shows an endpoint
#[utoipa::path(get, path = "/v1/channel-groups/{group}/channels/{channel}/endpoints/{endpoint}", tag = "endpoints",
    operation_id = "getEndpoint",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"),
           ("endpoint" = String, Path, description = "Name of the endpoint")),
    responses((status = 200, description = "The endpoint", body = Endpoint)))]
pub async fn get(
    State(context): State<Context>,
    Names((group, channel, name)): Names<(String, String, String)>,
) -> ApiResult<Json<Endpoint>> {
    let mut db = context.db.snapshot().await?;
    let row = find(&mut db, &group, &channel, &name).await?;
    let edges = edges_of(&context, &mut db).await?;
    Ok(Json(Endpoint::load(&mut db, &row, &edges).await?))
}

/// Changes an endpoint
#[utoipa::path(patch, path = "/v1/channel-groups/{group}/channels/{channel}/endpoints/{endpoint}", tag = "endpoints",
    operation_id = "updateEndpoint",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"),
           ("endpoint" = String, Path, description = "Name of the endpoint")),
    request_body = EndpointPatch,
    responses((status = 200, description = "The endpoint as it is now", body = Endpoint),
              (status = 409, description = "The name is taken")))]
pub async fn patch(
    State(context): State<Context>,
    Names((group, channel, name)): Names<(String, String, String)>,
    Body(patch): Body<EndpointPatch>,
) -> ApiResult<Json<Endpoint>> {
    let mut tx = context.db.write().await?;
    let before = find(&mut tx, &group, &channel, &name).await?;
    let mut row = before.clone();
    row.name = patch.name.unwrap_or(row.name);
    row.manifest_name = patch.manifest_name.unwrap_or(row.manifest_name);
    row.time_shift_days = patch.time_shift_days.unwrap_or(row.time_shift_days);
    row.content_id = patch.content_id.or(row.content_id);
    let access = AccessFields {
        authorization_codes: patch.authorization_codes,
        ip_allow: patch.ip_allow,
        ip_deny: patch.ip_deny,
    };
    access.write(&mut row.access)?;
    patch.segment.unwrap_or_default().write(&mut row)?;
    patch.manifest.unwrap_or_default().write(&mut row)?;
    check(&row)?;
    if row.name != before.name {
        check_free(&mut tx, &row).await?;
        documents::retract_endpoint(&mut tx, &before).await?;
        protect::documents::retract_endpoint(&mut tx, &before).await?;
    }
    if let Some(Some(wanted)) = &patch.protection {
        endpoint_protection::check(&context, wanted, &row)?;
        endpoint_protection::name(&mut row)?;
    }
    endpoints::update(&mut tx, &row).await?;
    match &patch.protection {
        None => endpoint_protection::keep(&context, &mut tx, &row, &before).await?,
        Some(None) if before.protection.is_none() => {}
        Some(wanted) => endpoint_protection::write(&context, &mut tx, &mut row, wanted.as_ref()).await?,
    }
    documents::put_endpoint(&mut tx, &row).await?;
    let put = protect::documents::put_endpoint(&context, &mut tx, &row).await;
    put.map_err(|e| ApiError::internal(format!("{e:#}")))?;
    let edges = edges_of(&context, &mut tx).await?;
    let changed = Endpoint::load(&mut tx, &row, &edges).await?;
    tx.commit().await?;
    context.push_wake.wake();
    context.keys_wake.wake();
    context.live.wake(row.channel_id);
    Ok(Json(changed))
}

/// Removes an endpoint
#[utoipa::path(delete, path = "/v1/channel-groups/{group}/channels/{channel}/endpoints/{endpoint}", tag = "endpoints",
    operation_id = "deleteEndpoint",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"),
           ("endpoint" = String, Path, description = "Name of the endpoint")),
    responses((status = 200, description = "What was removed", body = Deletion)))]
pub async fn delete(
    State(context): State<Context>,
    Names((group, channel, name)): Names<(String, String, String)>,
) -> ApiResult<Json<Deletion>> {
    let mut tx = context.db.write().await?;
    let row = find(&mut tx, &group, &channel, &name).await?;
    documents::retract_endpoint(&mut tx, &row).await?;
    protect::documents::retract_endpoint(&mut tx, &row).await?;
    endpoints::delete(&mut tx, row.id).await?;
    tx.commit().await?;
    context.push_wake.wake();
    context.live.wake(row.channel_id);
    let mut deletion = Deletion::default();
    deletion.deleted.endpoints.push(row.name);
    Ok(Json(deletion))
}

async fn find(db: &mut SqliteConnection, group: &str, channel: &str, name: &str) -> ApiResult<endpoints::Endpoint> {
    let channel = channels::find(db, group, channel).await?;
    found(endpoints::find(db, channel.id, name).await?, "endpoint", name)
}

async fn check_free(db: &mut SqliteConnection, row: &endpoints::Endpoint) -> ApiResult<()> {
    match endpoints::find(db, row.channel_id, &row.name).await? {
        None => Ok(()),
        Some(_) => {
            let detail = format!("there is an endpoint {} in this channel already; choose another name", row.name);
            Err(ApiError::conflict(Some("/name"), detail))
        }
    }
}
