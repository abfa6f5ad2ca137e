//! A small blocking HTTP client that shows everything of an answer.

use std::time::Duration;

use serde_json::Value;

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The header `name` (lower case), if it is there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "the header {name} is there more than once: {:?}", self.headers);
        first
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap_or_else(|_| panic!("the body is not UTF-8"))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Fails unless this is a problem document for its own status; its detail.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        for part in ["type", "title"] {
            assert!(problem[part].as_str().is_some_and(|text| !text.is_empty()), "{part}: {problem}");
        }
        problem["detail"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends requests; connections are kept.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
}

impl Default for Client {
    fn default() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self { agent: config.into() }
    }
}

impl Client {
    /// Any request; `None` when no answer came.
    pub fn try_send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Response> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = if body.is_empty() && matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE") {
            self.agent.run(request.body(()).ok()?)
        } else {
            self.agent.run(request.body(body.to_vec()).ok()?)
        };
        let mut answer = answer.ok()?;
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_vec().ok()?;
        Some(Response { status: answer.status().as_u16(), headers, body })
    }

    /// Any request.
    pub fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_send(method, url, headers, body).unwrap_or_else(|| panic!("no answer to {method} {url}"))
    }

    /// GET; fails unless the answer is 200.
    pub fn get(&self, url: &str) -> Response {
        let response = self.send("GET", url, &[], &[]);
        assert_eq!(response.status, 200, "GET {url}: {}", String::from_utf8_lossy(&response.body));
        response
    }
}

/// What `reference` means in a document that came from `base`.
pub fn resolve(base: &str, reference: &str) -> String {
    if reference.contains("://") {
        return reference.to_owned();
    }
    if reference.starts_with('/') {
        let host = base.find("://").map_or(0, |at| at + 3);
        let end = base[host..].find('/').map_or(base.len(), |at| host + at);
        return format!("{}{reference}", &base[..end]);
    }
    let folder = base.rfind('/').map_or(base, |at| &base[..=at]);
    format!("{folder}{reference}")
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn references_are_resolved() {
        assert_eq!(resolve("http://a/b/c.m3u8", "d/e.m4s"), "http://a/b/d/e.m4s");
        assert_eq!(resolve("http://a/b/c.m3u8", "/d"), "http://a/d");
        assert_eq!(resolve("http://a/b/c.m3u8", "http://x/y"), "http://x/y");
    }
}
