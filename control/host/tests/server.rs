//! The HTTP/1.1 server in front of the edge, over real connections.

mod common;

use common::{FakeControl, deleted, fetch, options, push};
use edge_host::{EdgeHost, limits};
use packager::config::{
    Access, Body, Document, PackageType, PackagingConfiguration, StreamSelection, configuration_key,
};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn serve() -> Server {
    serve_with(Vec::new()).await
}

/// A server whose edge has these documents.
async fn serve_with(documents: Vec<Document>) -> Server {
    let control = FakeControl::empty().await;
    let host = EdgeHost::new(options(&control.url())).await.unwrap();
    if !documents.is_empty() {
        assert_eq!(fetch(&host, push(1, documents)).await.0, 200);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    Server { address, stop, task: tokio::spawn(host.serve(listener, stopped)) }
}

/// Reads one response with a content length.
async fn response(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        let n = stream.read(&mut piece).await.unwrap();
        assert!(n > 0, "the connection ended after {text:?}");
        bytes.extend_from_slice(&piece[..n]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_serves_many_requests() {
    let server = serve().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..300 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: edge\r\n\r\n").await.unwrap();
        assert!(response(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    stream.write_all(b"HEAD /healthz HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 200") && rest.ends_with("\r\n\r\n"), "{rest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_over_the_limits_are_refused() {
    let server = serve().await;
    let long = format!("GET /healthz HTTP/1.1\r\nhost: edge\r\nx: {}\r\n\r\n", "y".repeat(limits::MAX_HEAD_BYTES));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: edge\r\n{}\r\n", "x: y\r\n".repeat(limits::MAX_HEADERS));
    for head in [long, many, "GET / HTTP/9.9\r\n\r\n".to_owned(), "\0\0\0\0\r\n\r\n".to_owned()] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The server may close with part of the head unread, which resets the connection after its answer.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let head = head.get(..40.min(head.len())).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{head}... was answered {answer}");
    }
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: edge\r\n\r\n").await.unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 200"));
}

/// A configuration whose assets may be played from one network only.
fn allowed_from(name: &str, network: &str) -> Document {
    let configuration = PackagingConfiguration {
        name: name.into(),
        packaging_group: "films".into(),
        package_type: PackageType::Cmaf,
        segment_duration_seconds: 6,
        manifest_name: "index".into(),
        stream_selection: StreamSelection::default(),
        audio_separation: false,
        hls_version: Default::default(),
        text_format: Default::default(),
        access: Access { ip_allow: vec![network.parse().unwrap()], ..Access::default() },
        protection: None,
    };
    Document::new(configuration_key("films", name), 1, Body::Configuration(configuration))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_edge_knows_the_peer_and_believes_no_client() {
    let gone = deleted("asset/films/none", 1);
    let documents = vec![allowed_from("near", "127.0.0.0/8"), allowed_from("far", "192.0.2.0/24"), gone];
    let server = serve_with(documents).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for forged in
        ["", "spin-client-addr: 192.0.2.7:1\r\n", "Spin-Client-Addr: 192.0.2.7:1\r\nx-forwarded-for: 192.0.2.7\r\n"]
    {
        // Who is let in learns that there is no such asset.
        for (configuration, status) in [("near", 404), ("far", 403)] {
            let head =
                format!("GET /vod/v1/films/none/{configuration}/index.m3u8 HTTP/1.1\r\nhost: edge\r\n{forged}\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let answer = response(&mut stream).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{configuration}, {forged:?}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_idle_connections_and_the_server() {
    let server = serve().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: edge\r\n\r\n").await.unwrap();
    response(&mut stream).await;
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(TcpStream::connect(server.address).await.is_err());
}
