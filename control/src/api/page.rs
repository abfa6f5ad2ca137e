//! Lists in pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS};
use crate::db;
use crate::error::{ApiError, ApiResult};

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most items of the page.
    #[param(minimum = 1, maximum = 500, default = 100, nullable = false)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[param(pattern = "^[A-Za-f][A-Za-z0-9_-]{9}[AEIMQUYcgkosw048]$", nullable = false)]
    pub cursor: Option<String>,
}

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, oldest first.
    pub items: Vec<T>,
    /// Cursor of the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

impl PageQuery {
    /// The rows to read: one more than the page has, which tells whether another page follows.
    ///
    /// # Errors
    /// 422 for a limit out of range and for a cursor that is none of ours.
    pub fn rows(&self) -> ApiResult<db::Page> {
        Ok(db::Page { after: self.after()?, limit: self.checked_limit()? + 1 })
    }

    fn checked_limit(&self) -> ApiResult<i64> {
        let limit = self.limit.unwrap_or(DEFAULT_PAGE_ITEMS);
        if (1..=MAX_PAGE_ITEMS).contains(&limit) {
            return Ok(limit);
        }
        Err(ApiError::invalid("limit", format!("use 1 to {MAX_PAGE_ITEMS}")))
    }

    fn after(&self) -> ApiResult<i64> {
        let Some(cursor) = &self.cursor else { return Ok(0) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        let id = bytes.map(i64::from_be_bytes).filter(|id| *id > 0);
        id.ok_or_else(|| ApiError::invalid("cursor", "use next_cursor of an earlier page, or leave it out"))
    }

    /// The page made of `rows` read as [`Self::rows`] says.
    pub fn page<R, T>(&self, mut rows: Vec<R>, id: impl Fn(&R) -> i64, view: impl FnMut(R) -> T) -> ApiResult<Page<T>> {
        let limit = usize::try_from(self.checked_limit()?).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| URL_SAFE_NO_PAD.encode(id(row).to_be_bytes()));
        Ok(Page { items: rows.into_iter().map(view).collect(), next_cursor })
    }
}
