//! Guests that misbehave, written as components in text.

mod common;

use common::{fetch, get};
use edge_host::{EdgeHost, Options};
use futures::future::{Either, select};
use http::StatusCode;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What [`component`] wraps: a core function `handle` that takes a request's handle and gives the address of a result.
/// At address 0 there is a result that is an error code.
const TYPES: &str = r#"
  (import "wasi:http/types@0.3.0" (instance $types
    (export "request" (type (sub resource)))
    (export "response" (type (sub resource)))
    (type $optional-string (option string))
    (type $optional-u8 (option u8))
    (type $optional-u16 (option u16))
    (type $optional-u32 (option u32))
    (type $optional-u64 (option u64))
    (type $dns (record (field "rcode" $optional-string) (field "info-code" $optional-u16)))
    (export "DNS-error-payload" (type $dns-error-payload (eq $dns)))
    (type $tls (record (field "alert-id" $optional-u8) (field "alert-message" $optional-string)))
    (export "TLS-alert-received-payload" (type $tls-alert (eq $tls)))
    (type $field (record (field "field-name" $optional-string) (field "field-size" $optional-u32)))
    (export "field-size-payload" (type $field-size (eq $field)))
    (type $optional-field-size (option $field-size))
    (type $code (variant
      (case "DNS-timeout") (case "DNS-error" $dns-error-payload) (case "destination-not-found")
      (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable")
      (case "connection-refused") (case "connection-terminated") (case "connection-timeout")
      (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached")
      (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $tls-alert)
      (case "HTTP-request-denied") (case "HTTP-request-length-required")
      (case "HTTP-request-body-size" $optional-u64) (case "HTTP-request-method-invalid")
      (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" $optional-u32) (case "HTTP-request-header-size" $optional-field-size)
      (case "HTTP-request-trailer-section-size" $optional-u32) (case "HTTP-request-trailer-size" $field-size)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" $optional-u32)
      (case "HTTP-response-header-size" $field-size) (case "HTTP-response-body-size" $optional-u64)
      (case "HTTP-response-trailer-section-size" $optional-u32) (case "HTTP-response-trailer-size" $field-size)
      (case "HTTP-response-transfer-coding" $optional-string) (case "HTTP-response-content-coding" $optional-string)
      (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error")
      (case "loop-detected") (case "configuration-error") (case "internal-error" $optional-string)))
    (export "error-code" (type (eq $code)))))
  (alias export $types "request" (type $request))
  (alias export $types "response" (type $response))
  (alias export $types "error-code" (type $error-code))
"#;

/// A component whose handler is `body`, as a file.
fn component(body: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let text = format!(
        r#"(component {TYPES}
          (core module $module
            (memory (export "memory") 1)
            (data (i32.const 0) "\01")
            (global $calls (mut i32) (i32.const 0))
            (func (export "handle") (param i32) (result i32) {body}))
          (core instance $instance (instantiate $module))
          (func $handle async (param "request" (own $request)) (result (result (own $response) (error $error-code)))
            (canon lift (core func $instance "handle") (memory (core memory $instance "memory"))))
          (instance $handler (export "handle" (func $handle)))
          (export "wasi:http/handler@0.3.0" (instance $handler)))"#
    );
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("edge-host-guard-{}-{count}.wasm", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn host(body: &str, change: impl FnOnce(&mut Options)) -> std::sync::Arc<EdgeHost> {
    let path = component(body);
    let mut options = Options::new(&path);
    options.deadline = Duration::from_secs(20);
    change(&mut options);
    let host = EdgeHost::new(options).await.unwrap();
    std::fs::remove_file(path).unwrap();
    host
}

/// Works at its first call; every later one loops.
const LOOPS_LATER: &str = "
    (if (global.get $calls) (then (loop $again (br $again))))
    (global.set $calls (i32.const 1))
    (i32.const 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_is_stopped_and_the_host_lives_on() {
    let host = host(LOOPS_LATER, |options| options.deadline = Duration::from_secs(2)).await;
    let (status, ..) = fetch(&host, get("/first")).await;
    assert_eq!((status, host.stats().instances_failed), (StatusCode::INTERNAL_SERVER_ERROR, 0));
    // An instance that has just answered is not at rest yet: the next request might start a second one, which would answer.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    let looping = pin!(fetch(&host, get("/second")));
    // While the guest loops, another request is served by another instance.
    let other = pin!(async {
        while host.stats().requests < 2 || host.stats().waiting > 0 {
            tokio::task::yield_now().await;
        }
        // Taken, but nothing tells that its code runs: before that the instance may take this request too.
        tokio::time::sleep(Duration::from_millis(200)).await;
        fetch(&host, get("/third")).await
    });
    let Either::Right(((status, ..), looping)) = select(looping, other).await else {
        panic!("the loop ended first");
    };
    assert_eq!((status, host.stats().instances_started), (StatusCode::INTERNAL_SERVER_ERROR, 2));
    let (status, kind, body) = looping.await;
    assert_eq!((status, kind.as_str()), (StatusCode::GATEWAY_TIMEOUT, "application/problem+json"));
    assert_eq!(common::json(&body)["instance"], "/second");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let stats = host.stats();
    assert_eq!((stats.timed_out, stats.instances_failed), (1, 1));
}

#[tokio::test]
async fn a_loop_on_the_only_thread_is_stopped_too() {
    let host =
        host("(loop $again (br $again)) unreachable", |options| options.deadline = Duration::from_millis(500)).await;
    let (status, ..) = fetch(&host, get("/")).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
}

/// Asks for 256 MiB and traps when it gets none.
const GROWS: &str = "
    (if (i32.eq (memory.grow (i32.const 4096)) (i32.const -1)) (then unreachable))
    (i32.const 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_over_the_limit_is_refused() {
    for pooling in [false, true] {
        let limited = host(GROWS, |options| {
            options.memory_bytes = 64 << 20;
            options.pooling = pooling;
        })
        .await;
        let (status, ..) = fetch(&limited, get("/")).await;
        assert_eq!((status, limited.stats().instances_failed), (StatusCode::INTERNAL_SERVER_ERROR, 1));
        let roomy = host(GROWS, |options| {
            options.memory_bytes = 512 << 20;
            options.max_instances = 2;
            options.pooling = pooling;
        })
        .await;
        let (status, ..) = fetch(&roomy, get("/")).await;
        // The error code that the handler gives back, not a trap.
        assert_eq!((status, roomy.stats().instances_failed), (StatusCode::INTERNAL_SERVER_ERROR, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_costs_one_instance() {
    let host = host("unreachable", |_| {}).await;
    for path in ["/a", "/b", "/c"] {
        let (status, kind, body) = fetch(&host, get(path)).await;
        assert_eq!((status, kind.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "application/problem+json"));
        assert_eq!(common::json(&body)["type"], "https://edgepack.dev/problems/edge-failed");
        assert_eq!(common::json(&body)["instance"], path);
    }
    let stats = host.stats();
    assert_eq!((stats.failed, stats.instances_failed), (3, 3));
    assert_eq!(stats.instances, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_deadline_ends_the_instance() {
    // Waits for a subtask that never comes is what a guest cannot be interrupted in; a loop of memory growth by nothing
    // keeps calling the host.
    let host = host("(loop $again (drop (memory.grow (i32.const 0))) (br $again)) unreachable", |options| {
        options.deadline = Duration::from_millis(200);
    })
    .await;
    let (status, ..) = fetch(&host, get("/")).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    let stats = host.stats();
    assert_eq!((stats.timed_out, stats.instances), (1, 0));
}
