//! Rows of the database as documents. Called in the transaction that changes the rows, so that what edges should have
//! never differs from what is stored.

use packager::config::{Access, 
    Asset, Body, HlsVersion, IndexObject, PackageType, PackagingConfiguration, SourceObject, StreamOrder,
    StreamSelection, TextFormat, asset_key, configuration_key,
};
use sqlx::SqliteConnection;

use crate::db::assets::Status;
use crate::db::{self, assets, configurations, indexes, sources};
use crate::protect::ProtectionView;

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
        access: Access::default(),
        protection: row.protection.as_deref().map(ProtectionView::from_json).transpose()?.map(|view| view.output()),
    });
    db::documents::put(db, configuration_key(&row.packaging_group, &row.name), body).await.map(drop)
}

/// Writes that a configuration is gone.
pub async fn retract_configuration(db: &mut SqliteConnection, row: &configurations::Configuration) -> sqlx::Result<()> {
    db::documents::put(db, configuration_key(&row.packaging_group, &row.name), Body::Deleted).await.map(drop)
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
