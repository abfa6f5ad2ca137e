//! Collection tasks: a range of what encoders pushed becomes an asset, at once from the media of the channel, and then from
//! copies of its own.

mod common;
#[path = "../../edge/packager/tests/drive/mod.rs"]
mod drive;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::Control;
use control::clock;
use control::db::{channels, harvests};
use control::{harvest, live};
use http::{Method, Request, StatusCode, header};
use packager::config::{Body, PackageType, SourceObject};
use packager::index::Head;
use packager::ingest::IndexedAsset;
use serde_json::{Value, json};

const TASKS: &str = "/v1/channel-groups/news/channels/one/collection-tasks";
const HOUR_MS: i64 = 3_600_000;
/// Segments of a second that an encoder pushed before it was started anew, and after: more than a part has, and some.
const RUNS: [usize; 2] = [70, 10];

/// Segments of a second as an encoder makes them.
fn segments() -> &'static [Vec<u8>] {
    static SEGMENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEGMENTS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
        command.args(["-f", "lavfi", "-i", "testsrc=size=160x90:rate=25"]);
        command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", &RUNS[0].to_string()]);
        command.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-sc_threshold", "0", "-c:a", "aac"]);
        command.args(["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-hls_segment_filename"]);
        command.arg(folder.path().join("%d.ts")).arg(folder.path().join("index.m3u8")).stdin(Stdio::null());
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        (0..RUNS[0]).map(|n| std::fs::read(folder.path().join(format!("{n}.ts"))).unwrap()).collect()
    })
}

/// A channel with the endpoints `shift`, which has a day of time shift, and `plain`.
struct Channel {
    control: Control,
    authorization: String,
    id: i64,
    uid: String,
}

impl Channel {
    async fn new() -> Self {
        let control = Control::new().await;
        control.add_group().await;
        control.post("/v1/channel-groups", json!({"name": "news"})).await;
        let view = control.post("/v1/channel-groups/news/channels", json!({"name": "one", "protocol": "HLS"})).await;
        let view = view.json();
        let input = &view["inputs"][0];
        let credentials = format!("{}:{}", input["username"].as_str().unwrap(), input["password"].as_str().unwrap());
        for endpoint in [
            json!({"name": "shift", "protocol": "HLS", "time_shift_days": 1}),
            json!({"name": "plain", "protocol": "HLS"}),
        ] {
            assert_eq!(control.post("/v1/channel-groups/news/channels/one/endpoints", endpoint).await.status, 201);
        }
        let row = channels::find(&mut control.context.db.read().await.unwrap(), "news", "one").await.unwrap().unwrap();
        let authorization = format!("Basic {}", STANDARD.encode(credentials));
        Self { control, authorization, id: row.id, uid: row.uid }
    }

    /// A channel that had both runs of the encoder three hours ago, and when the first began.
    async fn recorded() -> (Self, i64) {
        let channel = Self::new().await;
        for (run, count) in RUNS.into_iter().enumerate() {
            let mut playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n".to_owned();
            for (n, segment) in segments().iter().take(count).enumerate() {
                channel.put(&format!("{run}-{n}.ts"), segment.clone()).await;
                playlist.push_str(&format!("#EXTINF:1,\n{run}-{n}.ts\n"));
                if n % 20 == 19 || n + 1 == count {
                    channel.put("index.m3u8", playlist.clone().into_bytes()).await;
                    live::tick(&channel.control.context, channel.id).await.unwrap();
                }
            }
        }
        channel.age(3 * HOUR_MS).await;
        let edge = channel.edge().await;
        assert_eq!((edge.end_us + 500_000) / 1_000_000, 10 + 80, "80 positions since presentation time 10 s");
        (channel, edge.epoch_ms + 10_000)
    }

    async fn put(&self, name: &str, body: Vec<u8>) {
        let request = Request::put(format!("/ingest/v1/news/1/one/{name}"))
            .header(header::AUTHORIZATION, &self.authorization)
            .body(axum::body::Body::from(body));
        let answer = self.control.send(request.unwrap()).await;
        assert!(answer.status.is_success(), "{name}: {:?}", answer.body);
    }

    async fn edge(&self) -> control::db::timelines::Edge {
        let mut db = self.control.context.db.read().await.unwrap();
        control::db::timelines::edge(&mut db, self.id).await.unwrap().unwrap()
    }

    async fn sql(&self, sql: &'static str, number: i64) {
        let mut tx = self.control.context.db.write().await.unwrap();
        sqlx::query(sql).bind(number).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Lets everything be longer ago.
    async fn age(&self, ms: i64) {
        self.sql(
            "UPDATE timelines SET state =
             json_set(state, '$.timeline.epoch_ms', json_extract(state, '$.timeline.epoch_ms') - ?)",
            ms,
        )
        .await;
        self.sql("UPDATE uploads SET received_ms = received_ms - ?", ms).await;
        self.sql("UPDATE positions SET made_ms = made_ms - ?", ms).await;
    }

    /// Makes a task of a range in milliseconds since `start`.
    async fn task(&self, start: i64, range: Range<i64>) -> Value {
        let answer = self.control.post(TASKS, body(start + range.start, start + range.end)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
        let task = answer.json();
        assert_eq!(answer.header(header::LOCATION), format!("{TASKS}/{}", task["id"]));
        assert_eq!(task["status"], "WAITING");
        task
    }

    async fn show(&self, task: &Value) -> Value {
        self.control.get(&format!("{TASKS}/{}", task["id"])).await.json()
    }

    /// The index that the asset is played by.
    async fn index(&self) -> IndexedAsset {
        let document = self.control.document("asset/films/show").await.unwrap();
        let Body::Asset(asset) = document.body else { panic!("an asset") };
        assert_eq!(asset.sources, []);
        let path = self.control.directory.path().join("indexes").join(&asset.index.path);
        IndexedAsset::open(std::fs::read(path).unwrap(), asset.index.head_bytes).unwrap()
    }

    fn media(&self, path: &str) -> std::path::PathBuf {
        self.control.directory.path().join("media").join(path)
    }

    /// All that edges make of an index.
    fn made(&self, indexed: &IndexedAsset) -> Vec<Vec<u8>> {
        let read = |object: &SourceObject, range: Range<u64>| {
            let bytes = std::fs::read(self.media(&object.path)).unwrap_or_else(|e| panic!("{}: {e}", object.path));
            assert_eq!(bytes.len() as u64, object.bytes);
            bytes[range.start as usize..range.end as usize].to_vec()
        };
        drive::all_segments(indexed, 2, read);
        let documents = drive::documents(PackageType::Hls, 2, &indexed.index, indexed.head_bytes, &[]);
        let found = drive::crawl(&documents, &indexed.index, usize::MAX);
        let segments = found.iter().filter(|(_, response)| response.content_type == "video/mp2t");
        segments.map(|(_, response)| drive::bytes_of(&response.parts, 5000, read)).collect()
    }

    /// Whether edges get all objects of an index as it says that they are.
    async fn assert_served(&self, indexed: &IndexedAsset) -> BTreeMap<String, u64> {
        let objects = packager::live::objects(&indexed.index, indexed.head_bytes).unwrap();
        for object in objects.values() {
            let path = format!("/origin/v1/media/{}", object.path);
            let headers = [("range", "bytes=0-0"), ("if-match", object.etag.as_deref().expect("a tag"))];
            assert_eq!(self.control.origin(Method::GET, &path, &headers).await.status, 206, "{path}");
        }
        objects.into_iter().map(|(path, object)| (path, object.bytes)).collect()
    }

    async fn reopen(self) -> Self {
        Self { control: self.control.reopen().await, ..self }
    }
}

fn body(start: i64, end: i64) -> Value {
    json!({"endpoint": "shift", "start": clock::rfc3339(start), "end": clock::rfc3339(end),
        "storage_path": "vod/show", "asset": "show", "packaging_group": "films"})
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn tick_index(channel: &Channel) -> bool {
    harvest::index(&channel.control.context).await.unwrap()
}

async fn tick_copy(channel: &Channel) -> bool {
    harvest::copy(&channel.control.context).await.unwrap()
}

#[tokio::test]
async fn a_range_is_played_at_once_and_then_from_copies() {
    let (channel, start) = Channel::recorded().await;
    // Over the end of a part, the restart of the encoder, and into what is in no part yet.
    let task = channel.task(start, 60_500..74_500).await;
    let begun = std::time::Instant::now();
    assert!(tick_index(&channel).await);
    assert!(begun.elapsed().as_secs_f64() < 1.0, "{:?}", begun.elapsed());
    let task = channel.show(&task).await;
    assert_eq!((&task["status"], &task["progress"]["objects_total"]), (&json!("COPYING"), &json!(15)), "{task}");
    assert_eq!((&task["progress"]["objects_done"], task.get("failure")), (&json!(0), None), "{task}");
    let asset = channel.control.get("/v1/assets/show").await.json();
    assert_eq!((&asset["status"], &asset["sources"]), (&json!("PLAYABLE"), &json!([])), "{asset}");
    assert!((asset["duration_seconds"].as_f64().unwrap() - 15.0).abs() < 0.2, "{asset}");
    assert_eq!(asset["tracks"].as_array().unwrap().len(), 2, "{asset}");
    let indexed = channel.index().await;
    let head = Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64).unwrap();
    let periods: Vec<usize> = (0..head.cuts.len()).filter(|at| head.cuts[*at].period).collect();
    assert_eq!((head.cuts.len(), periods), (15, vec![10]));
    let first = channel.made(&indexed);
    assert_eq!(first.len(), 8);
    let objects = channel.assert_served(&indexed).await;
    assert!(objects.keys().all(|path| path.starts_with(&format!("live/{}/media/", channel.uid))), "{objects:?}");
    assert_eq!(task["progress"]["bytes_total"], objects.values().sum::<u64>());
    assert!(!tick_index(&channel).await);

    assert!(tick_copy(&channel).await);
    let task = channel.show(&task).await;
    assert_eq!(task["status"], "FINISHED", "{task}");
    for what in ["objects", "bytes"] {
        assert_eq!(task["progress"][format!("{what}_done")], task["progress"][format!("{what}_total")]);
    }
    assert_eq!(files(&channel.media("vod/show")).len(), 15);
    std::fs::remove_dir_all(channel.media("live")).unwrap();
    let indexed = channel.index().await;
    assert!(channel.made(&indexed) == first, "the same media");
    let copies = channel.assert_served(&indexed).await;
    assert!(copies.keys().all(|path| path.starts_with("vod/show/")), "{copies:?}");
    assert_eq!(copies.values().sum::<u64>(), objects.values().sum::<u64>());
    assert!(!tick_copy(&channel).await);

    // The task is forgotten, what it made stays.
    let path = format!("{TASKS}/{}", task["id"]);
    assert_eq!(channel.control.delete(&path).await.json()["deleted"]["assets"], json!([]));
    channel.control.get(&path).await.assert_problem(404, None);
    assert!(!tick_copy(&channel).await);
    assert_eq!(channel.control.get("/v1/assets/show").await.json()["status"], "PLAYABLE");
    assert!(channel.made(&indexed) == first);
}

#[tokio::test]
async fn a_task_goes_on_after_a_restart() {
    let (channel, start) = Channel::recorded().await;
    let task = channel.task(start, 5_000..25_000).await;
    channel.sql("UPDATE harvests SET status = 'INDEXING' WHERE id = ?", task["id"].as_i64().unwrap()).await;
    let channel = channel.reopen().await;
    assert!(tick_index(&channel).await);
    assert_eq!(channel.show(&task).await["status"], "COPYING");

    // The process ends while it copies: two copies are there, one is cut off, and one was being written.
    let objects = channel.assert_served(&channel.index().await).await;
    let names: Vec<&str> = objects.keys().map(|path| path.rsplit('/').next().unwrap()).collect();
    let copy = |name: &str| channel.media(&format!("vod/show/{name}"));
    std::fs::create_dir_all(channel.media("vod/show")).unwrap();
    for name in &names[..2] {
        let bytes = std::fs::read(channel.media(&format!("live/{}/media/{name}", channel.uid))).unwrap();
        // What has the right length is not copied again.
        std::fs::write(copy(name), vec![0x47; bytes.len()]).unwrap();
    }
    std::fs::write(copy(names[2]), b"cut off").unwrap();
    std::fs::write(copy(&format!("{}#1", names[3])), b"cut off").unwrap();
    let channel = channel.reopen().await;
    assert!(tick_copy(&channel).await);
    let task = channel.show(&task).await;
    assert_eq!(
        (&task["status"], &task["progress"]["objects_done"]),
        (&json!("FINISHED"), &json!(names.len())),
        "{task}"
    );
    assert_eq!(files(&channel.media("vod/show")), {
        let mut names = names.clone();
        names.sort_unstable();
        names
    });
    for (at, name) in names.iter().enumerate() {
        let read = |path: String| std::fs::read(channel.media(&path)).unwrap();
        let (own, copied) = (read(format!("live/{}/media/{name}", channel.uid)), read(format!("vod/show/{name}")));
        assert_eq!(own == copied, at >= 2, "{name}");
    }
}

#[tokio::test]
async fn retention_leaves_what_a_task_needs() {
    let (channel, start) = Channel::recorded().await;
    let context = channel.control.context.clone();
    let task = channel.task(start, 60_500..74_500).await;
    let endpoints = "/v1/channel-groups/news/channels/one/endpoints";
    assert_eq!(channel.control.patch(&format!("{endpoints}/shift"), json!({"time_shift_days": 0})).await.status, 200);
    let folder = format!("live/{}/media", channel.uid);
    assert_eq!(files(&channel.media(&folder)).len(), 80);
    live::tick(&context, channel.id).await.unwrap();
    // Those before the range are gone, in whole positions and with a second to spare.
    let left = files(&channel.media(&folder)).len();
    assert!((20..=22).contains(&left), "{left}");
    assert!(tick_index(&channel).await);
    live::tick(&context, channel.id).await.unwrap();
    assert_eq!(files(&channel.media(&folder)).len(), left);
    channel.made(&channel.index().await);

    for endpoint in ["shift", "plain"] {
        assert_eq!(channel.control.delete(&format!("{endpoints}/{endpoint}")).await.status, 200);
    }
    let gone = channel.control.delete("/v1/channel-groups/news/channels/one").await;
    gone.assert_problem(409, None);
    assert!(gone.json()["detail"].as_str().unwrap().contains("collection tasks"));
    let floor = async |since: i64| {
        let mut db = context.db.read().await.unwrap();
        harvests::floor(&mut db, channel.id, clock::now_ms(), clock::now_ms() + since).await.unwrap()
    };
    assert_eq!(floor(0).await, Some(start + 60_500));
    assert!(tick_copy(&channel).await);
    assert_eq!(channel.show(&task).await["status"], "FINISHED");
    assert_eq!(floor(-HOUR_MS).await, Some(start + 60_500), "edges may not have heard of it");
    assert_eq!(floor(1000).await, None);
    assert_eq!(channel.control.delete("/v1/channel-groups/news/channels/one").await.status, 200);
    channel.made(&channel.index().await);
}

#[tokio::test]
async fn a_task_is_cancelled_with_all_that_it_made() {
    let (channel, start) = Channel::recorded().await;
    let task = channel.task(start, 1_000..9_000).await;
    let path = format!("{TASKS}/{}", task["id"]);
    // Before there is anything.
    let deleted = channel.control.delete(&path).await.json();
    assert_eq!(
        (&deleted["deleted"]["collection_tasks"], &deleted["deleted"]["assets"]),
        (&json!([task["id"]]), &json!([]))
    );
    assert_eq!(channel.show(&task).await["status"], "CANCELLED");
    assert!(!tick_index(&channel).await && !tick_copy(&channel).await);
    assert_eq!(channel.control.delete(&path).await.status, 200);
    channel.control.get(&path).await.assert_problem(404, None);

    // With some copies, by itself and by its asset.
    for path in [None, Some("/v1/assets/show")] {
        let task = channel.task(start, 1_000..9_000).await;
        let own = format!("{TASKS}/{}", task["id"]);
        assert!(tick_index(&channel).await);
        channel.control.write_media("vod/show/1.ts", b"a copy");
        let deleted = channel.control.delete(path.unwrap_or(&own)).await.json();
        assert_eq!(deleted["deleted"]["assets"], json!(["show"]), "{deleted}");
        channel.control.get("/v1/assets/show").await.assert_problem(404, None);
        assert_eq!(channel.control.document("asset/films/show").await.unwrap().body, Body::Deleted);
        assert_eq!(channel.show(&task).await["status"], "CANCELLED");
        channel.control.delete(&own).await.assert_problem(409, None);
        channel.control.post(TASKS, body(start, start + 1_000)).await.assert_problem(409, Some("/storage_path"));
        assert!(tick_copy(&channel).await);
        assert_eq!(files(&channel.media("vod/show")), Vec::<String>::new());
        assert_eq!(channel.control.delete(&own).await.status, 200);
    }
    assert_eq!(files(&channel.media(&format!("live/{}/media", channel.uid))).len(), 80, "the channel loses nothing");
}

#[tokio::test]
async fn a_task_waits_for_the_end_of_its_range_and_tells_of_failures() {
    let (channel, start) = Channel::recorded().await;
    let now = clock::now_ms();
    let later = channel.task(now, -1_000..HOUR_MS).await;
    assert!(!tick_index(&channel).await);
    assert_eq!(channel.show(&later).await["status"], "WAITING");
    // Its time has come, and so has that of the last media that there may be.
    channel.sql("UPDATE harvests SET start_ms = start_ms - ?1, end_ms = end_ms - ?1", 2 * HOUR_MS).await;
    assert!(tick_index(&channel).await);
    let failed = channel.show(&later).await;
    assert_eq!(failed["status"], "FAILED", "{failed}");
    assert!(failed["failure"]["reason"].as_str().unwrap().contains("no media from"), "{failed}");
    channel.control.get("/v1/assets/show").await.assert_problem(404, None);

    // What cannot be read now is tried again.
    let task = channel.task(start, 60_500..74_500).await;
    let (parts, away) = (format!("indexes/live/{}/parts", channel.uid), channel.control.directory.path().join("away"));
    let parts = channel.control.directory.path().join(parts);
    std::fs::rename(&parts, &away).unwrap();
    assert!(tick_index(&channel).await);
    let delayed = channel.show(&task).await;
    assert_eq!(delayed["status"], "INDEXING", "{delayed}");
    assert!(delayed["failure"]["reason"].as_str().unwrap().contains("archive"), "{delayed}");
    assert!(!tick_index(&channel).await, "not at once");
    std::fs::rename(&away, &parts).unwrap();
    channel.sql("UPDATE harvests SET attempt_at = ?", 0).await;
    assert!(tick_index(&channel).await);
    let copying = channel.show(&task).await;
    assert_eq!((&copying["status"], copying.get("failure")), (&json!("COPYING"), None), "{copying}");

    // Media that is gone is no matter of waiting; what is left can be played.
    let objects = channel.assert_served(&channel.index().await).await;
    std::fs::remove_file(channel.media(objects.keys().next_back().unwrap())).unwrap();
    assert!(tick_copy(&channel).await);
    let failed = channel.show(&task).await;
    assert_eq!(failed["status"], "FAILED", "{failed}");
    assert!(failed["failure"]["reason"].as_str().unwrap().contains(objects.keys().next_back().unwrap()), "{failed}");
    assert_eq!(channel.control.get("/v1/assets/show").await.json()["status"], "PLAYABLE");
    let mut db = channel.control.context.db.read().await.unwrap();
    let floor = harvests::floor(&mut db, channel.id, clock::now_ms(), clock::now_ms()).await.unwrap();
    assert_eq!(floor, Some(start + 60_500), "its asset still needs the channel");
    drop(db);
    let deleted = channel.control.delete(&format!("{TASKS}/{}", task["id"])).await.json();
    assert_eq!(deleted["deleted"]["assets"], json!(["show"]));
    assert!(tick_copy(&channel).await);
    assert_eq!(files(&channel.media("vod/show")), Vec::<String>::new());
}

#[tokio::test]
async fn wrong_tasks_are_refused() {
    let channel = Channel::new().await;
    let control = &channel.control;
    let now = clock::now_ms();
    let good = || body(now - 60_000, now - 1_000);
    let with = |field: &str, value: Value| {
        let mut body = good();
        body[field] = value;
        body
    };
    let time = |ms: i64| json!(clock::rfc3339(now + ms));
    for (body, field) in [
        (with("endpoint", json!("plain")), "/endpoint"),
        (with("endpoint", json!("none")), "/endpoint"),
        (with("endpoint", json!("a/b")), "/endpoint"),
        (with("start", json!("yesterday")), "/start"),
        (with("start", time(-25 * HOUR_MS)), "/end"),
        (with("start", time(0)), "/end"),
        (with("end", time(-60_000)), "/end"),
        (with("end", time(24 * HOUR_MS + 60_000)), "/end"),
        (with("storage_path", json!("live")), "/storage_path"),
        (with("storage_path", json!("live/x/media")), "/storage_path"),
        (with("storage_path", json!("a/../b")), "/storage_path"),
        (with("storage_path", json!("/a")), "/storage_path"),
        (with("storage_path", json!("a".repeat(1000))), "/storage_path"),
        (with("asset", json!("a b")), "/asset"),
        (with("asset", json!("batch")), "/asset"),
        (with("packaging_group", json!("none")), "/packaging_group"),
        (with("content_id", json!("")), "/content_id"),
        (with("more", json!(1)), "/more"),
    ] {
        control.post(TASKS, body).await.assert_problem(422, Some(field));
    }
    let mut early = good();
    (early["start"], early["end"]) = (time(-25 * HOUR_MS), time(-24 * HOUR_MS));
    control.post(TASKS, early).await.assert_problem(422, Some("/start"));
    control.post("/v1/channel-groups/news/channels/two/collection-tasks", good()).await.assert_problem(404, None);

    control.add_playable("taken", "films/taken.mp4").await;
    control.write_media("full/thing.txt", b"x");
    let task = control.post(TASKS, good()).await.json();
    for (asset, folder, field) in [
        ("taken", "vod/b", "/asset"),
        ("show", "vod/b", "/asset"),
        ("b", "vod/show", "/storage_path"),
        ("b", "vod/show/more", "/storage_path"),
        ("b", "vod", "/storage_path"),
        ("b", "films", "/storage_path"),
        ("b", "full", "/storage_path"),
    ] {
        let mut body = good();
        (body["asset"], body["storage_path"]) = (json!(asset), json!(folder));
        control.post(TASKS, body).await.assert_problem(409, Some(field));
    }
    // Its name is kept for it, and its group.
    let asset = json!({"name": "show", "packaging_group": "films", "sources": [{"path": "x.mp4"}]});
    control.post("/v1/assets", asset).await.assert_problem(409, Some("/name"));
    control.delete("/v1/packaging-groups/films?cascade=true").await.assert_problem(409, None);
    for path in [format!("{TASKS}/0"), format!("{TASKS}/+{}", task["id"]), format!("{TASKS}/x"), format!("{TASKS}/999")]
    {
        control.get(&path).await.assert_problem(404, None);
        control.delete(&path).await.assert_problem(404, None);
    }
}

#[tokio::test]
async fn tasks_are_listed_by_channel_and_over_all() {
    let channel = Channel::new().await;
    let control = &channel.control;
    control.post("/v1/channel-groups/news/channels", json!({"name": "two", "protocol": "HLS"})).await;
    let endpoint = json!({"name": "shift", "protocol": "DASH", "time_shift_days": 30});
    control.post("/v1/channel-groups/news/channels/two/endpoints", endpoint).await;
    let now = clock::now_ms();
    for (n, name) in ["one", "two", "one"].into_iter().enumerate() {
        let mut body = body(now - 60_000, now - 1_000);
        (body["asset"], body["storage_path"]) = (json!(format!("a{n}")), json!(format!("vod/{n}")));
        let path = format!("/v1/channel-groups/news/channels/{name}/collection-tasks");
        assert_eq!(control.post(&path, body).await.status, 202);
    }
    let assets = |page: &Value| -> Vec<Value> {
        page["items"].as_array().unwrap().iter().map(|task| task["asset"].clone()).collect()
    };
    assert_eq!(assets(&control.get(TASKS).await.json()), ["a0", "a2"]);
    assert_eq!(assets(&control.get("/v1/collection-tasks").await.json()), ["a0", "a1", "a2"]);
    let page = control.get("/v1/collection-tasks?limit=2").await.json();
    let rest = format!("/v1/collection-tasks?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(
        (assets(&page), assets(&control.get(&rest).await.json())),
        (vec![json!("a0"), json!("a1")], vec![json!("a2")])
    );
    control.get("/v1/collection-tasks?limit=0").await.assert_problem(422, Some("limit"));
    let one = &control.get(TASKS).await.json()["items"][0];
    assert_eq!(
        (&one["channel_group"], &one["channel"], &one["endpoint"]),
        (&json!("news"), &json!("one"), &json!("shift"))
    );
    assert_eq!(
        (&one["start"], &one["end"]),
        (&json!(clock::rfc3339(now - 60_000)), &json!(clock::rfc3339(now - 1_000)))
    );
}
