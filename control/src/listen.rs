//! The HTTP/1.1 server in front of the routes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::Service as _;

/// Pause after a failed accept: the usual cause is too many open files, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection may wait for the head of its next request: encoders send one with each segment.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Serves `router` until `stop` becomes true and the requests that are under way then are answered.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let (open, connections) = watch::channel(());
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop, connections) = (router.clone(), stop.clone(), connections.clone());
                tokio::spawn(async move {
                    connection(router, stream, peer, stop).await;
                    drop(connections);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, connections));
    // Each connection holds a receiver until it has ended.
    open.closed().await;
}

async fn connection(router: Router, stream: TcpStream, peer: SocketAddr, mut stop: watch::Receiver<bool>) {
    // Without it an answer's last packet waits for the acknowledgement of the one before: 40 ms for every index read.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: http::Request<Incoming>| {
        let mut router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_READ_TIMEOUT)
            // Encoders close their side with what they send last, and do not wait for the answer. That it was received is
            // what counts; without this it would be dropped when all of it comes at once.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
    );
    let stopped = async {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::put;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_is_sent_before_hanging_up_arrives() {
        let bytes = Arc::new(AtomicUsize::new(0));
        let counted = bytes.clone();
        let router = Router::new().route(
            "/",
            put(async move |ConnectInfo(_): ConnectInfo<SocketAddr>, body: Bytes| {
                tokio::task::yield_now().await;
                counted.fetch_add(body.len(), Ordering::Relaxed);
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(listener, router, stopped));
        for _ in 0..20 {
            // All of it is there when the server looks for the first time, because nothing here waits meanwhile.
            let mut client = std::net::TcpStream::connect(address).unwrap();
            let request = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
            std::io::Write::write_all(&mut client, request).unwrap();
            drop(client);
        }
        let mut last = TcpStream::connect(address).await.unwrap();
        last.write_all(b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n!").await.unwrap();
        let mut answer = String::new();
        last.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        stop.send_replace(true);
        server.await.unwrap();
        assert_eq!(bytes.load(Ordering::Relaxed), 101);
    }
}
