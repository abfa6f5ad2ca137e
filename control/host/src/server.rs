//! The HTTP/1.1 server in front of the instances.

use crate::limits::{
    HEAD_READ_TIMEOUT, MAX_CONNECTIONS, MAX_HEAD_BYTES, MAX_HEADERS, SHUTDOWN_GRACE, WRITE_STALL_TIMEOUT,
};
use crate::{EdgeHost, stall::StallGuard};
use http::{HeaderName, HeaderValue};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Pause after a failed accept: the usual cause is too many open files, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// In which a guest is told the address and port of its peer, by the name that Spin gives it.
const PEER_HEADER: HeaderName = HeaderName::from_static("spin-client-addr");

pub(crate) async fn serve(host: Arc<EdgeHost>, listener: TcpListener, shutdown: impl Future) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
            let (stream, peer) = listener.accept().await?;
            Ok::<_, io::Error>((place, stream, peer))
        };
        let (place, stream, peer) = tokio::select! {
            _ = &mut shutdown => break,
            accepted = accept => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (host, stopping) = (host.clone(), stopping.clone());
        tokio::spawn(async move {
            connection(host, stream, peer, stopping).await;
            drop(place);
        });
    }
    drop(listener);
    drop(stopping);
    let _ = stop.send(());
    // Each connection holds a receiver until it has ended.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, stop.closed()).await;
    Ok(())
}

async fn connection(host: Arc<EdgeHost>, stream: TcpStream, peer: SocketAddr, mut stopping: watch::Receiver<()>) {
    // Responses come in few large pieces; waiting for more only delays the last one.
    let _ = stream.set_nodelay(true);
    let peer = HeaderValue::try_from(peer.to_string()).ok();
    let service = service_fn(|mut request: http::Request<hyper::body::Incoming>| {
        let host = host.clone();
        // What the client may have sent under this name goes.
        request.headers_mut().remove(PEER_HEADER);
        if let Some(peer) = &peer {
            request.headers_mut().insert(PEER_HEADER, peer.clone());
        }
        async move { Ok::<_, Infallible>(host.handle(request.map(|body| body.map_err(Into::into).boxed_unsync())).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_READ_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD_BYTES)
            .keep_alive(true)
            .serve_connection(TokioIo::new(StallGuard::new(stream, WRITE_STALL_TIMEOUT)), service)
    );
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("a viewer connection ended: {error:?}");
    }
}
