//! The field `protection` of live endpoints: what is particular to them, and how it is stored.

use sqlx::SqliteConnection;

use super::MAX_CONTENT_ID_BYTES;
use super::protection::{self, Output, invalid};
use crate::context::Context;
use crate::db::endpoints::Endpoint;
use crate::db::{endpoint_keys, endpoints};
use crate::error::{ApiError, ApiResult};
use crate::protect::{Protection, Stored, documents};
use crate::push::documents::endpoint_package_type;
use crate::vault::Purpose;

/// Checks everything about a protection for the endpoint that it is for.
///
/// # Errors
/// 409 without a master key, 422 with the field.
pub fn check(context: &Context, protection: &Protection, row: &Endpoint) -> ApiResult<()> {
    let package_type = endpoint_package_type(row.protocol);
    protection::check(context, protection, Output { package_type, audio_separation: row.audio_separation })?;
    if protection.clear_lead_segments > 0 {
        let detail = "viewers join a channel anywhere, so that nothing of it is its beginning; leave this out";
        return Err(invalid("clear_lead_segments", detail));
    }
    Ok(())
}

/// Gives an endpoint that is to protect a content id, unless it has one: the names of group, channel and endpoint as they are
/// now, with dots between them. Names have no dots, so no two endpoints get the same. It stays when they are renamed.
///
/// # Errors
/// 422 when the names are too long for that.
pub fn name(row: &mut Endpoint) -> ApiResult<()> {
    if row.content_id.is_some() {
        return Ok(());
    }
    let made = format!("{}.{}.{}", row.channel_group, row.channel, row.name);
    if made.len() > MAX_CONTENT_ID_BYTES {
        let detail = format!(
            "{made} would be the content id, and has more than {MAX_CONTENT_ID_BYTES} bytes; say what key servers are to \
             call the endpoint"
        );
        return Err(ApiError::invalid("/content_id", detail));
    }
    row.content_id = Some(made);
    Ok(())
}

/// Writes the protection of an endpoint that was checked: what may be shown, and all of it sealed. Keys are asked for anew; a
/// document with older ones for the same scheme stays until then.
///
/// # Errors
/// When the database fails.
pub async fn write(
    context: &Context,
    db: &mut SqliteConnection,
    row: &mut Endpoint,
    protection: Option<&Protection>,
) -> ApiResult<()> {
    let (view, sealed) = protection::stored(context, Purpose::EndpointProtection(row.id), protection)?;
    if protection::outlives_keys(Stored::from(&*row), protection)? {
        documents::retract_endpoint(db, row).await?;
    }
    row.protection_revision = endpoints::set_protection(db, row.id, view.as_deref(), sealed.as_deref()).await?;
    (row.protection, row.protection_sealed) = (view, sealed);
    match protection {
        Some(_) => endpoint_keys::expire(db, row.id).await?,
        None => endpoint_keys::clear(db, row.id).await?,
    }
    Ok(())
}

/// Checks the protection that an endpoint keeps against what else was changed of it, and has its keys asked for again when key
/// servers are to call it by another content id than `before`.
///
/// # Errors
/// As [`check`], and when what is stored does not open.
pub async fn keep(context: &Context, db: &mut SqliteConnection, row: &Endpoint, before: &Endpoint) -> ApiResult<()> {
    let kept = Stored::from(row).settings(context).map_err(|e| ApiError::internal(format!("{e:#}")))?;
    let Some(kept) = kept else { return Ok(()) };
    check(context, &kept, row)?;
    if row.content_id != before.content_id {
        endpoint_keys::expire(db, row.id).await?;
    }
    Ok(())
}
