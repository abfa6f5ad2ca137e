//! SPEKE over HTTP: the provider URL, and one exchange of documents.

mod client;
mod error;
mod shown;
mod url;

pub use client::{Client, Exchange, Settings};
pub use error::{Error, Result};
pub(crate) use url::is_token_name;
pub use url::{Endpoint, UrlError};
