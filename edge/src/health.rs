//! `GET /healthz`.

use packager::response::FORMAT_VERSION;
use serde::Serialize;

use crate::answer::Answer;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::serve::Edge;
use crate::settings::Settings;

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    edge: &'a str,
    version: &'static str,
    format_version: u32,
    sequence: u64,
    revision: u64,
}

impl<P: Platform> Edge<P> {
    /// Says who this is and which push it took last.
    ///
    /// # Errors
    /// 503 when the key-value store does not answer.
    pub async fn health(&self, settings: &Settings) -> Result<Answer<P>, Problem> {
        let taken = self
            .taken()
            .await
            .map_err(|e| Problem::unavailable(format!("the key-value store does not answer: {e}")))?;
        let health = Health {
            status: "ok",
            edge: &settings.edge_name,
            version: env!("CARGO_PKG_VERSION"),
            format_version: FORMAT_VERSION,
            sequence: taken.sequence,
            revision: taken.revision,
        };
        let body = serde_json::to_vec(&health).map_err(|e| Problem::unavailable(e.to_string()))?;
        Ok(Answer::new(200).with("cache-control", "no-store").body("application/json", body))
    }
}
