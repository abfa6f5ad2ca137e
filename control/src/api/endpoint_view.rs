//! Endpoints as the REST interface shows them.

use packager::config::{self, LiveManifest};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::access;
use super::configurations::StreamOrder;
use super::key_status::KeyStatus;
use crate::clock;
use crate::context::Context;
use crate::db::endpoints::{self, EndpointProtocol};
use crate::db::{Page, edges, endpoint_keys};
use crate::error::ApiResult;
use crate::protect::ProtectionView;
use crate::push::documents;

/// What segments are like.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct EndpointSegment {
    /// Target duration of a segment.
    duration_seconds: u32,
    /// Of HLS: whether audio has segments and renditions of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    audio_separation: Option<bool>,
}

/// What manifests say.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct EndpointManifest {
    /// Of HLS and HLS_CMAF: how many segments a playlist has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    segments: Option<u32>,
    /// Of HLS and HLS_CMAF: EXT-X-PROGRAM-DATE-TIME every so many seconds, 0 at every segment, `null` never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    program_date_time_seconds: Option<Option<u32>>,
    /// Of DASH: `MPD@minBufferTime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    min_buffer_seconds: Option<u32>,
    /// Of DASH: `MPD@minimumUpdatePeriod`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    min_update_seconds: Option<u32>,
    /// Of DASH: `MPD@suggestedPresentationDelay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    presentation_delay_seconds: Option<u32>,
    /// Of DASH: `MPD@timeShiftBufferDepth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    window_seconds: Option<u32>,
    /// Order of the video renditions.
    stream_order: StreamOrder,
    /// Lowest video bit rate that is offered, bits a second.
    min_video_bitrate: Option<u64>,
    /// Highest video bit rate that is offered, bits a second.
    max_video_bitrate: Option<u64>,
}

/// Where an endpoint is played.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct EndpointUrl {
    /// Name of the edge; `null` for the URL that stands for all of them.
    edge: Option<String>,
    /// URL of the manifest.
    url: String,
}

/// An endpoint of a live channel.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// Name, unique in its channel, part of the playback URL.
    name: String,
    /// Name of the group of its channel.
    channel_group: String,
    /// Name of its channel.
    channel: String,
    /// Which output.
    protocol: EndpointProtocol,
    /// File name of the manifest without extension.
    manifest_name: String,
    /// How many authorization codes are valid; viewers need none when it is 0. The codes are not shown.
    authorization_code_count: usize,
    /// Addresses and CIDR blocks that may play; everybody when empty.
    ip_allow: Vec<String>,
    /// Addresses and CIDR blocks that may not, whatever `ip_allow` says.
    ip_deny: Vec<String>,
    /// How many days back viewers may go; 0 when not at all.
    time_shift_days: i64,
    /// What segments are like.
    segment: EndpointSegment,
    /// What manifests say.
    manifest: EndpointManifest,
    /// What key servers call it; `null` until it protects or is given one.
    content_id: Option<String>,
    /// How its output is protected, without anything secret; `null` when it is in the clear.
    protection: Option<ProtectionView>,
    /// Of endpoints that protect: whether its keys are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    protection_status: Option<KeyStatus>,
    /// Where it is played: on each edge, or at the one URL that viewers use.
    playback_urls: Vec<EndpointUrl>,
    /// When it was made (RFC 3339).
    created_at: String,
}

/// Base URLs of playback, with the name of the edge.
pub struct Edges(Vec<(Option<String>, String)>);

/// Where endpoints are played.
///
/// # Errors
/// When the database fails.
pub async fn edges_of(context: &Context, db: &mut SqliteConnection) -> ApiResult<Edges> {
    if let Some(url) = &context.public_url {
        return Ok(Edges(vec![(None, url.clone())]));
    }
    let all = edges::list(db, Page { after: 0, limit: i64::MAX }).await?;
    Ok(Edges(all.into_iter().map(|edge| (Some(edge.name), edge.url)).collect()))
}

impl Endpoint {
    /// What is stored of an endpoint as it is shown.
    ///
    /// # Errors
    /// When the database fails or holds what cannot be.
    pub async fn load(db: &mut SqliteConnection, row: &endpoints::Endpoint, edges: &Edges) -> ApiResult<Self> {
        let protection = row.protection.as_deref().map(ProtectionView::from_json).transpose()?;
        let protection_status = match &protection {
            Some(_) => Some(KeyStatus::from(endpoint_keys::find(db, row.id).await?)),
            None => None,
        };
        let config = documents::endpoint(row)?;
        let order = match config.stream_selection.order {
            config::StreamOrder::Original => StreamOrder::Original,
            config::StreamOrder::Ascending => StreamOrder::Ascending,
            config::StreamOrder::Descending => StreamOrder::Descending,
        };
        let common = EndpointManifest {
            stream_order: order,
            min_video_bitrate: config.stream_selection.min_video_bitrate,
            max_video_bitrate: config.stream_selection.max_video_bitrate,
            ..EndpointManifest::default()
        };
        let manifest = match config.manifest {
            LiveManifest::Hls { segments, program_date_time_seconds } => EndpointManifest {
                segments: Some(segments),
                program_date_time_seconds: Some(program_date_time_seconds),
                ..common
            },
            LiveManifest::Dash {
                min_buffer_seconds,
                min_update_seconds,
                presentation_delay_seconds,
                window_seconds,
            } => EndpointManifest {
                min_buffer_seconds: Some(min_buffer_seconds),
                min_update_seconds: Some(min_update_seconds),
                presentation_delay_seconds: Some(presentation_delay_seconds),
                window_seconds: Some(window_seconds),
                ..common
            },
        };
        let path = documents::playback_path(row);
        let playback_url =
            |(edge, base): &(Option<String>, String)| EndpointUrl { edge: edge.clone(), url: format!("{base}{path}") };
        Ok(Self {
            name: row.name.clone(),
            channel_group: row.channel_group.clone(),
            channel: row.channel.clone(),
            protocol: row.protocol,
            manifest_name: row.manifest_name.clone(),
            authorization_code_count: config.access.authorization_codes.len(),
            ip_allow: access::shown(&config.access.ip_allow),
            ip_deny: access::shown(&config.access.ip_deny),
            time_shift_days: row.time_shift_days,
            segment: EndpointSegment {
                duration_seconds: config.segment_duration_seconds,
                audio_separation: (row.protocol == EndpointProtocol::Hls).then_some(config.audio_separation),
            },
            manifest,
            content_id: row.content_id.clone(),
            protection,
            protection_status,
            playback_urls: edges.0.iter().map(playback_url).collect(),
            created_at: clock::rfc3339(row.created_at),
        })
    }
}
