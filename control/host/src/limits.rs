//! Every maximum of the host, with its reason.

use std::time::Duration;

/// Linear memory of one instance, all its memories together, bytes. The edge's own cache budget is well below it, and
/// [`MAX_INSTANCES`] of them fit a small machine because most stay far from it.
pub const MEMORY_BYTES: usize = 128 << 20;

/// Instances that take requests at the same time. Each occupies at most one core, so more than a few times the cores
/// only helps when guests wait for the origin with all their places taken.
pub const MAX_INSTANCES: usize = 32;

/// Retired instances that may still stream the bodies they began: slow viewers must not be able to keep any number of
/// instances in memory. At this number used-up instances go on taking requests, and if a stuck one has to be retired
/// nevertheless, the oldest is ended.
pub const MAX_RETIRED_INSTANCES: usize = 64;

/// Requests after which an instance is replaced, so that nothing a guest leaks grows for ever. With every instance goes its
/// cache of heads, index pieces and manifests, which a two-hour title needs some thousand requests to use up.
pub const REUSE_REQUESTS: usize = 8192;

/// Requests one instance works on at a time, counted up to the response head.
pub const REUSE_CONCURRENT: usize = 16;

/// Requests that may wait for an instance. Beyond it the answer is 503 at once: a longer queue only makes all late.
pub const MAX_QUEUED_REQUESTS: usize = 1024;

/// Time to the response head.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// Time from the response head to the end of the body: a long segment on a slow line, but not for ever.
pub const BODY_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// How often running guests are interrupted to let others run, and the unit in which their CPU time is counted.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

/// CPU time a guest may use in one go, that is without waiting or returning to its event loop. The dearest single step
/// of the edge (one manifest, one segment) is well below a second; a guest that takes this long is looping.
pub const CPU_SLICE: Duration = Duration::from_secs(5);

/// Idle time after which an instance beyond the number of cores is dropped. As many as there are cores stay warm.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Resources (requests, bodies, streams, stores) one instance may hold open in the host.
pub const MAX_RESOURCES: usize = 16_384;

/// Core instances, tables and memories of one component instance: the edge has a handful.
pub const MAX_CORE_INSTANCES: usize = 64;

/// Elements of one table of a guest, 8 bytes each in the host.
pub const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Keys in the key-value store, documents and the edge's own state.
pub const KV_MAX_ENTRIES: usize = 200_000;

/// Bytes in the key-value store, keys and values.
pub const KV_MAX_BYTES: usize = 256 << 20;

/// Bytes of one value. A document is at most 1 MiB and pushes come in batches; this leaves room for both.
pub const KV_MAX_VALUE_BYTES: usize = 16 << 20;

/// Bytes of one key.
pub const KV_MAX_KEY_BYTES: usize = 4096;

/// Key-value stores one instance may hold open.
pub const KV_MAX_OPEN: usize = 256;

/// Time to connect to the origin, unless the guest asks for less.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time from sending a request to the origin to its response head, unless the guest asks for less.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two pieces of an origin's body, unless the guest asks for less.
pub const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections kept to each origin.
pub const ORIGIN_IDLE_CONNECTIONS: usize = 64;

/// How long an idle origin connection is kept.
pub const ORIGIN_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes copied out of the guest at a time. Two such pieces are in flight for each body.
pub const BODY_CHUNK_BYTES: usize = 256 << 10;

/// Viewer connections at a time. A further one waits in the listen queue of the system.
pub const MAX_CONNECTIONS: usize = 4096;

/// Bytes of a request head: CDNs stop at 8 to 32 KiB.
pub const MAX_HEAD_BYTES: usize = 32 << 10;

/// Header lines of a request.
pub const MAX_HEADERS: usize = 100;

/// Time for a request head to arrive, also the time a kept-alive connection may be idle.
pub const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Time a viewer may take no byte of a response before the connection is closed.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Time that responses under way get to end after shutdown was asked for.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// Bytes of one line of a guest's output; the rest of a longer line is cut into lines of this size.
pub const MAX_LOG_LINE_BYTES: usize = 8192;
