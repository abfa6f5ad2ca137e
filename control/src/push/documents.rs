//! Rows of the database as documents. Called in the transaction that changes the rows, so that what edges should have
//! never differs from what is stored.

use packager::config::{
    Access, Asset, Body, Endpoint, HlsVersion, IndexObject, LiveManifest, PackageType, PackagingConfiguration,
    SourceObject, StreamOrder, StreamSelection, TextFormat, asset_key, configuration_key, endpoint_key,
};
use sqlx::SqliteConnection;

use crate::db::assets::Status;
use crate::db::endpoints::{self, EndpointProtocol};
use crate::db::{self, assets, configurations, indexes, sources};
use crate::protect::ProtectionView;

/// Target duration of a segment of an endpoint, unless it says another.
pub const DEFAULT_SEGMENT_SECONDS: u32 = 6;
/// Segments of a playlist of an endpoint, and those in the window of its MPD, unless it says other numbers: enough for
/// players that begin three segments behind the live edge, and for one that stopped for a while.
const DEFAULT_SEGMENTS: u32 = 10;
/// `MPD@minBufferTime` in segments, unless an endpoint says other seconds.
const MIN_BUFFER_SEGMENTS: u32 = 2;
/// `MPD@minimumUpdatePeriod` in segments, unless an endpoint says other seconds.
const MIN_UPDATE_SEGMENTS: u32 = 2;
/// `MPD@suggestedPresentationDelay` in segments, unless an endpoint says other seconds.
const PRESENTATION_DELAY_SEGMENTS: u32 = 3;
/// Seconds of a day.
const DAY_SECONDS: u32 = 86_400;

/// A stored package type. What the database cannot hold counts as an error of decoding.
pub fn package_type(text: &str) -> sqlx::Result<PackageType> {
    match text {
        "HLS" => Ok(PackageType::Hls),
        "CMAF" => Ok(PackageType::Cmaf),
        "DASH" => Ok(PackageType::Dash),
        other => Err(sqlx::Error::Decode(format!("package type {other:?}").into())),
    }
}

/// A stored stream order; see [`package_type`].
pub fn stream_order(text: &str) -> sqlx::Result<StreamOrder> {
    match text {
        "ORIGINAL" => Ok(StreamOrder::Original),
        "ASCENDING" => Ok(StreamOrder::Ascending),
        "DESCENDING" => Ok(StreamOrder::Descending),
        other => Err(sqlx::Error::Decode(format!("stream order {other:?}").into())),
    }
}

/// A stored generation of playlists; see [`package_type`].
pub fn hls_version(number: i64) -> sqlx::Result<HlsVersion> {
    let version = u8::try_from(number).map_err(|e| e.to_string()).and_then(HlsVersion::try_from);
    version.map_err(|e| sqlx::Error::Decode(format!("HLS version: {e}").into()))
}

/// A stored form of subtitles; see [`package_type`].
pub fn text_format(text: &str) -> sqlx::Result<TextFormat> {
    match text {
        "WVTT" => Ok(TextFormat::Wvtt),
        "WEBVTT" => Ok(TextFormat::Webvtt),
        other => Err(sqlx::Error::Decode(format!("text format {other:?}").into())),
    }
}

/// Who may play, as it is stored; see [`package_type`].
pub fn access(json: &str) -> sqlx::Result<Access> {
    serde_json::from_str(json).map_err(|e| sqlx::Error::Decode(format!("access: {e}").into()))
}

/// Writes the document of a configuration.
pub async fn put_configuration(db: &mut SqliteConnection, row: &configurations::Configuration) -> sqlx::Result<()> {
    let body = Body::Configuration(PackagingConfiguration {
        name: row.name.clone(),
        packaging_group: row.packaging_group.clone(),
        package_type: package_type(&row.package_type)?,
        segment_duration_seconds: u32::try_from(row.segment_duration_seconds)
            .map_err(|e| sqlx::Error::Decode(e.into()))?,
        manifest_name: row.manifest_name.clone(),
        stream_selection: StreamSelection {
            order: stream_order(&row.stream_order)?,
            min_video_bitrate: row.min_video_bitrate.map(i64::unsigned_abs),
            max_video_bitrate: row.max_video_bitrate.map(i64::unsigned_abs),
        },
        audio_separation: row.audio_separation,
        hls_version: hls_version(row.hls_version)?,
        text_format: text_format(&row.text_format)?,
        access: access(&row.access)?,
        protection: row.protection.as_deref().map(ProtectionView::from_json).transpose()?.map(|view| view.output()),
    });
    db::documents::put(db, configuration_key(&row.packaging_group, &row.name), body).await.map(drop)
}

/// Writes that a configuration is gone.
pub async fn retract_configuration(db: &mut SqliteConnection, row: &configurations::Configuration) -> sqlx::Result<()> {
    db::documents::put(db, configuration_key(&row.packaging_group, &row.name), Body::Deleted).await.map(drop)
}

/// The package type of an endpoint.
pub fn endpoint_package_type(protocol: EndpointProtocol) -> PackageType {
    match protocol {
        EndpointProtocol::Hls => PackageType::Hls,
        EndpointProtocol::HlsCmaf => PackageType::Cmaf,
        EndpointProtocol::Dash => PackageType::Dash,
    }
}

/// What edges are told of an endpoint. What it does not say follows from its protocol and its segment duration.
pub fn endpoint(row: &endpoints::Endpoint) -> sqlx::Result<Endpoint> {
    let number = |value: i64| u32::try_from(value).map_err(|e| sqlx::Error::Decode(e.into()));
    let seconds = number(row.segment_duration_seconds)?;
    let or = |value: Option<i64>, default: u32| value.map_or(Ok(default), number);
    let manifest = match row.protocol {
        EndpointProtocol::Hls | EndpointProtocol::HlsCmaf => LiveManifest::Hls {
            segments: or(row.segments, DEFAULT_SEGMENTS)?,
            program_date_time_seconds: row.program_date_time_seconds.map(number).transpose()?,
        },
        EndpointProtocol::Dash => LiveManifest::Dash {
            min_buffer_seconds: or(row.min_buffer_seconds, seconds.saturating_mul(MIN_BUFFER_SEGMENTS))?,
            min_update_seconds: or(row.min_update_seconds, seconds.saturating_mul(MIN_UPDATE_SEGMENTS))?,
            presentation_delay_seconds: or(
                row.presentation_delay_seconds,
                seconds.saturating_mul(PRESENTATION_DELAY_SEGMENTS),
            )?,
            window_seconds: or(row.window_seconds, seconds.saturating_mul(DEFAULT_SEGMENTS))?,
        },
    };
    Ok(Endpoint {
        name: row.name.clone(),
        channel_group: row.channel_group.clone(),
        channel: row.channel.clone(),
        package_type: endpoint_package_type(row.protocol),
        manifest_name: row.manifest_name.clone(),
        segment_duration_seconds: seconds,
        audio_separation: row.audio_separation,
        stream_selection: StreamSelection {
            order: stream_order(&row.stream_order)?,
            min_video_bitrate: row.min_video_bitrate.map(i64::unsigned_abs),
            max_video_bitrate: row.max_video_bitrate.map(i64::unsigned_abs),
        },
        manifest,
        time_shift_seconds: number(row.time_shift_days)?.saturating_mul(DAY_SECONDS),
        access: access(&row.access)?,
        protection: row.protection.as_deref().map(ProtectionView::from_json).transpose()?.map(|view| view.output()),
    })
}

/// Path of the manifest of an endpoint on every edge.
pub fn playback_path(row: &endpoints::Endpoint) -> String {
    let extension = match row.protocol {
        EndpointProtocol::Hls | EndpointProtocol::HlsCmaf => "m3u8",
        EndpointProtocol::Dash => "mpd",
    };
    format!("/v1/{}/{}/{}/{}.{extension}", row.channel_group, row.channel, row.name, row.manifest_name)
}

/// Writes the document of an endpoint.
pub async fn put_endpoint(db: &mut SqliteConnection, row: &endpoints::Endpoint) -> sqlx::Result<()> {
    let key = endpoint_key(&row.channel_group, &row.channel, &row.name);
    db::documents::put(db, key, Body::Endpoint(endpoint(row)?)).await.map(drop)
}

/// Writes that an endpoint is gone.
pub async fn retract_endpoint(db: &mut SqliteConnection, row: &endpoints::Endpoint) -> sqlx::Result<()> {
    let key = endpoint_key(&row.channel_group, &row.channel, &row.name);
    db::documents::put(db, key, Body::Deleted).await.map(drop)
}

/// Writes that all endpoints of a channel are gone, under the names that channel and group have now.
pub async fn retract_channel(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<()> {
    for endpoint in endpoints::of_channel(db, channel_id).await? {
        retract_endpoint(db, &endpoint).await?;
    }
    Ok(())
}

/// Writes the document of an asset if it is playable; there is none otherwise.
pub async fn put_asset(db: &mut SqliteConnection, row: &assets::Asset) -> sqlx::Result<()> {
    if row.status != Status::Playable {
        return Ok(());
    }
    let Some(index) = indexes::find(db, row.id).await? else {
        return Err(sqlx::Error::Decode(format!("asset {} is playable without an index", row.name).into()));
    };
    let sources = sources::list(db, row.id).await?;
    let body = Body::Asset(Asset {
        name: row.name.clone(),
        packaging_group: row.packaging_group.clone(),
        index: IndexObject {
            path: index.path,
            bytes: index.bytes.unsigned_abs(),
            head_bytes: index.head_bytes.unsigned_abs(),
            digest: index.digest,
        },
        sources: sources
            .into_iter()
            .map(|s| SourceObject { path: s.path, bytes: s.bytes.unwrap_or(0).unsigned_abs(), etag: s.etag })
            .collect(),
    });
    db::documents::put(db, asset_key(&row.packaging_group, &row.name), body).await.map(drop)
}

/// Writes that an asset is gone or cannot be played now, if edges may think otherwise.
pub async fn retract_asset(db: &mut SqliteConnection, row: &assets::Asset) -> sqlx::Result<()> {
    if row.status != Status::Playable {
        return Ok(());
    }
    db::documents::put(db, asset_key(&row.packaging_group, &row.name), Body::Deleted).await.map(drop)
}
