//! The component's side of [`crate::platform`]: WASI HTTP and clocks, Spin's key-value store and variables.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use spin_sdk::key_value::Store;
use spin_sdk::variables;
use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields, RequestOptions, Scheme, Trailers};
use spin_sdk::wasip3::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

use crate::answer::{Answer, Content};
use crate::http::Headers;
use crate::platform::{Body, Closed, Incoming, Outgoing, Platform, Sink};
use crate::serve::{Edge, Method, Request};
use crate::transfer::Broken;

/// Label of the store that holds the documents.
const STORE: &str = "default";
/// How much of a body is asked for at once.
const CHUNK_BYTES: usize = 128 << 10;
/// How long an origin may pause within a body.
const PAUSE: Duration = Duration::from_secs(20);

struct Component;

spin_sdk::wasip3::http::service::export!(Component);

thread_local! {
    static EDGE: Rc<Edge<Wasi>> = Rc::new(Edge::new(Wasi::default()));
}

impl Guest for Component {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        let edge = EDGE.with(Rc::clone);
        response(edge.handle(read_request(request)).await)
    }
}

fn read_request(request: types::Request) -> Request<Stream> {
    let method = match request.get_method() {
        types::Method::Get => Method::Get,
        types::Method::Head => Method::Head,
        types::Method::Options => Method::Options,
        types::Method::Put => Method::Put,
        _ => Method::Other,
    };
    let target = request.get_path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let headers = Headers::new(request.get_headers().copy_all());
    let body = if method == Method::Put {
        let (result, reader) = wit_future::new(|| Ok(()));
        let (stream, end) = types::Request::consume_body(request, reader);
        Stream(Some(Open { stream, end, _result: result }))
    } else {
        Stream(None)
    };
    Request { method, path, query, headers, body }
}

fn response(answer: Answer<Wasi>) -> Result<types::Response, ErrorCode> {
    let fields: Vec<_> =
        answer.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    let fields = Fields::from_list(&fields).map_err(|e| ErrorCode::InternalError(Some(e.to_string())))?;
    let response = match answer.content {
        Content::Empty => {
            let (_, end) = wit_future::new(|| Ok(None));
            types::Response::new(fields, None, end).0
        }
        Content::Whole(bytes) => {
            let (writer, contents) = wit_stream::new();
            let (_, end) = wit_future::new(|| Ok(None));
            spawn(async move {
                // Whoever went away misses nothing; the host knows the length.
                let _ = Outlet(writer).send(bytes.into()).await;
            });
            types::Response::new(fields, Some(contents), end).0
        }
        Content::Stream(transfer) => {
            let (writer, contents) = wit_stream::new();
            let (end, end_reader): (FutureWriter<Result<Option<Trailers>, ErrorCode>>, _) =
                wit_future::new(|| Err(ErrorCode::HttpResponseIncomplete));
            spawn(async move {
                let mut outlet = Outlet(writer);
                let end_of_body = match transfer.run(&mut outlet).await {
                    Ok(()) => Ok(None),
                    Err(broken) => {
                        if let Broken::Origin(why) = broken {
                            eprintln!("a body broke off: {why}");
                        }
                        Err(ErrorCode::HttpResponseIncomplete)
                    }
                };
                drop(outlet);
                // The receiver may be gone already.
                let _ = end.write(end_of_body).await;
            });
            types::Response::new(fields, Some(contents), end_reader).0
        }
    };
    response.set_status_code(answer.status).map_err(|()| ErrorCode::InternalError(Some("status".to_owned())))?;
    Ok(response)
}

/// WASI and Spin.
#[derive(Default)]
struct Wasi {
    store: RefCell<Option<Rc<Store>>>,
}

impl Wasi {
    async fn store(&self) -> Result<Rc<Store>, String> {
        if let Some(store) = self.store.borrow().as_ref() {
            return Ok(store.clone());
        }
        let store = Rc::new(Store::open(STORE).await.map_err(|e| e.to_string())?);
        self.store.replace(Some(store.clone()));
        Ok(store)
    }
}

impl Platform for Wasi {
    type Body = Stream;

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }

    fn unix_ms(&self) -> u64 {
        let now = system_clock::now();
        u64::try_from(now.seconds).unwrap_or(0).saturating_mul(1000) + u64::from(now.nanoseconds / 1_000_000)
    }

    async fn sleep(&self, duration: Duration) {
        monotonic_clock::wait_for(nanoseconds(duration)).await;
    }

    async fn variable(&self, name: &str) -> Result<String, String> {
        variables::get(name).await.map_err(|e| e.to_string())
    }

    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.store().await?.get(key).await.map_err(|e| e.to_string())
    }

    async fn save(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.store().await?.set(key, value).await.map_err(|e| e.to_string())
    }

    async fn get(&self, request: Outgoing) -> Result<Incoming<Stream>, String> {
        let request = outgoing(request)?;
        let response = client::send(request).await.map_err(|e| told(&e))?;
        let status = response.get_status_code();
        let headers = Headers::new(response.get_headers().copy_all());
        let (result, reader) = wit_future::new(|| Ok(()));
        let (stream, end) = types::Response::consume_body(response, reader);
        Ok(Incoming { status, headers, body: Stream(Some(Open { stream, end, _result: result })) })
    }
}

fn outgoing(request: Outgoing) -> Result<types::Request, String> {
    let (scheme, rest) = match request.url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return Err("not an http or https URL".to_owned()),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let fields: Vec<_> =
        request.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    let fields = Fields::from_list(&fields).map_err(|e| e.to_string())?;
    let (_, end) = wit_future::new(|| Ok(None));
    let options = RequestOptions::new();
    // A host that does not know this option has a limit of its own.
    let _ = options.set_between_bytes_timeout(Some(nanoseconds(PAUSE)));
    let (out, _) = types::Request::new(fields, None, end, Some(options));
    out.set_scheme(Some(&scheme)).map_err(|()| "the host refused the scheme")?;
    out.set_authority(Some(authority)).map_err(|()| "the host refused the authority")?;
    out.set_path_with_query(Some(path)).map_err(|()| "the host refused the path")?;
    Ok(out)
}

/// What happened, without the name of the type.
fn told(error: &ErrorCode) -> String {
    error.to_string().trim_start_matches("ErrorCode::").to_owned()
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// A body that arrives; `None` when there is none or it has ended.
struct Stream(Option<Open>);

struct Open {
    stream: StreamReader<u8>,
    /// Says at the end whether the body is whole.
    end: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    /// Dropping it tells the sender that the body is no longer wanted.
    _result: FutureWriter<Result<(), ErrorCode>>,
}

impl Body for Stream {
    async fn chunk(&mut self, mut buffer: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
        let Some(open) = self.0.as_mut() else { return Ok(None) };
        buffer.reserve_exact(CHUNK_BYTES);
        loop {
            let (result, bytes) = open.stream.read(buffer).await;
            match result {
                StreamResult::Complete(_) if bytes.is_empty() => buffer = bytes,
                StreamResult::Complete(_) => return Ok(Some(bytes)),
                StreamResult::Dropped | StreamResult::Cancelled => break,
            }
        }
        let Some(open) = self.0.take() else { return Ok(None) };
        open.end.await.map(|_| None).map_err(|e| told(&e))
    }
}

/// The body of our response.
struct Outlet(StreamWriter<u8>);

impl Sink for Outlet {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, Closed> {
        let left = self.0.write_all(bytes).await;
        if left.is_empty() { Ok(left) } else { Err(Closed) }
    }
}
