//! A client of the control plane's REST interface.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The REST interface of one control plane.
pub struct Rest {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Rest {
    /// A client of the control plane at `base` (no slash at the end).
    pub fn new(base: String, token: String) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self { agent: config.into(), base, token }
    }

    /// The status that a GET of any URL is answered with; `None` when nobody answers.
    pub fn status(&self, url: &str) -> Option<u16> {
        self.agent.get(url).call().ok().map(|response| response.status().as_u16())
    }

    /// GET of `path`.
    pub fn get(&self, path: &str) -> Result<(u16, Value)> {
        let request = self.agent.get(format!("{}{path}", self.base));
        Self::read(path, request.header("authorization", self.bearer()).call())
    }

    /// DELETE of `path`.
    pub fn delete(&self, path: &str) -> Result<(u16, Value)> {
        let request = self.agent.delete(format!("{}{path}", self.base));
        Self::read(path, request.header("authorization", self.bearer()).call())
    }

    /// POST of `body` to `path`.
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("authorization", self.bearer()).header("content-type", "application/json");
        Self::read(path, request.send(body.to_string()))
    }

    /// POST that makes something; what is there already is left as it is.
    pub fn ensure(&self, path: &str, body: &Value) -> Result<()> {
        match self.post(path, body)? {
            (200..=299 | 409, _) => Ok(()),
            (status, problem) => bail!("POST {path}: {}", describe(status, &problem)),
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn read(path: &str, sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(u16, Value)> {
        let mut response = sent.with_context(|| format!("no answer to {path}"))?;
        let text = response.body_mut().read_to_string().with_context(|| format!("answer to {path}"))?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}

/// A problem document in one line.
pub fn describe(status: u16, problem: &Value) -> String {
    let part = |name: &str| problem.get(name).and_then(Value::as_str);
    match (part("title"), part("detail")) {
        (_, Some(detail)) => format!("{status}: {detail}"),
        (Some(title), None) => format!("{status}: {title}"),
        (None, None) => format!("{status}: {problem}"),
    }
}
