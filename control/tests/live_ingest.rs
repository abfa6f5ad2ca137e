//! Live ingest over real connections: encoders, and everything else that may push.

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::Control;
use control::context::Context;
use control::db::uploads::{Upload, UploadKind, UploadStatus};
use control::db::{channel_inputs, channels, uploads};
use control::ingest::receive::{self, MAX_UPLOAD_NAME_BYTES};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const LIVE: &[u8] = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n1.ts\n#EXTINF:2,\n2.ts\n";

/// A channel of a control plane that listens.
struct Channel {
    control: Control,
    address: std::net::SocketAddr,
    view: Value,
    _stop: tokio::sync::watch::Sender<bool>,
}

impl Channel {
    async fn new(protocol: &str) -> Self {
        let control = Control::new().await;
        control.post("/v1/channel-groups", json!({"name": "news"})).await;
        let view = control.post("/v1/channel-groups/news/channels", json!({"name": "one", "protocol": protocol})).await;
        let view = view.json();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = control.router.clone();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(control::listen::serve(listener, router, stopped));
        Self { control, address, view, _stop: stop }
    }

    fn credentials(&self, input: usize) -> String {
        let input = &self.view["inputs"][input - 1];
        format!("{}:{}", input["username"].as_str().unwrap(), input["password"].as_str().unwrap())
    }

    fn authorization(&self, input: usize) -> String {
        format!("Authorization: Basic {}\r\n", STANDARD.encode(self.credentials(input)))
    }

    /// URL of what an encoder pushes, with its credentials.
    fn url(&self, input: usize, name: &str) -> String {
        format!("http://{}@{}/ingest/v1/news/{input}/one/{name}", self.credentials(input), self.address)
    }

    async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.unwrap())
    }

    /// Status and body of a request with the credentials of input 1.
    async fn send(&self, method: &str, name: &str, body: &[u8]) -> (u16, String) {
        let mut connection = self.connect().await;
        let head = format!(
            "{method} /ingest/v1/news/1/one/{name} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n",
            self.authorization(1),
            body.len()
        );
        connection.write(head.as_bytes()).await;
        connection.write(body).await;
        connection.answer().await
    }

    async fn put(&self, name: &str, body: &[u8]) -> u16 {
        self.send("PUT", name, body).await.0
    }

    fn context(&self) -> &Context {
        &self.control.context
    }

    async fn row(&self) -> channels::Channel {
        channels::find(&mut self.context().db.read().await.unwrap(), "news", "one").await.unwrap().unwrap()
    }

    async fn media(&self) -> Vec<Upload> {
        let id = self.row().await.id;
        uploads::media_after(&mut self.context().db.read().await.unwrap(), id, 0).await.unwrap()
    }

    async fn playlists(&self, input: i64) -> Vec<Upload> {
        let id = self.row().await.id;
        uploads::playlists(&mut self.context().db.read().await.unwrap(), id, input).await.unwrap()
    }

    async fn status(&self, input: usize) -> Value {
        let view = self.control.get("/v1/channel-groups/news/channels/one").await.json();
        view["inputs"][input - 1]["status"].clone()
    }

    /// Names of all files in the storage of media.
    fn files(&self) -> Vec<String> {
        fn walk(folder: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => walk(&entry.path(), found),
                    false => found.push(entry.file_name().into_string().unwrap()),
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.control.directory.path().join("media"), &mut found);
        found.sort();
        found
    }

    /// Waits until a condition holds, which other tasks bring about.
    async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let waiting = async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("{what}"));
    }
}

impl Channel {
    /// Waits until so many media playlists have ended and all that was pushed is acknowledged.
    async fn until_ended(&self, input: i64, playlists: usize) {
        self.until("the playlists end", async |c| {
            let ended = |upload: &Upload| upload.body.as_ref().unwrap().ends_with(b"#EXT-X-ENDLIST\n");
            let under_way = uploads::receiving(&mut c.context().db.read().await.unwrap()).await.unwrap();
            c.playlists(input).await.iter().filter(|upload| ended(upload)).count() == playlists && under_way.is_empty()
        })
        .await;
    }
}

struct Connection(TcpStream);

impl Connection {
    async fn write(&mut self, bytes: &[u8]) {
        // Whoever is refused may not be read to the end.
        let _ = self.0.write_all(bytes).await;
    }

    /// Status and body of the next answer.
    async fn answer(&mut self) -> (u16, String) {
        tokio::time::timeout(Duration::from_secs(20), self.read_answer()).await.expect("an answer")
    }

    async fn read_answer(&mut self) -> (u16, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

/// Packets that carry nothing.
fn null_packets(count: usize) -> Vec<u8> {
    let mut packet = [0xff; 188];
    packet[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    packet.repeat(count)
}

/// A segment of a transport stream, with so many packets after it that carry nothing.
fn transport(more: usize) -> Vec<u8> {
    [media("ts/144p/1.ts"), null_packets(more)].concat()
}

/// A segment or an initialization section of the repository's small media.
fn media(path: &str) -> Vec<u8> {
    let path = format!("{}/../tests/media/hls/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn boxes(names: &[&[u8; 4]]) -> Vec<u8> {
    names.iter().flat_map(|name| [&12_u32.to_be_bytes()[..], *name, b"....".as_slice()].concat()).collect()
}

/// An initialization section that says that its media are encrypted.
async fn encrypted_init() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.mp4").into_os_string().into_string().unwrap();
    let key = "00112233445566778899aabbccddeeff";
    let output = ["-f", "mp4", "-movflags", "empty_moov+frag_keyframe+default_base_moof", "-encryption_scheme"];
    ffmpeg(1, &[&output[..], &["cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", key, &file]].concat()).await;
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.windows(4).position(|w| w == b"moof").unwrap() - 4;
    bytes.truncate(end);
    bytes
}

/// Runs ffmpeg on its test sources, with what follows the inputs.
async fn ffmpeg(seconds: u32, output: &[&str]) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "warning", "-re"]);
    command.args(["-f", "lavfi", "-i", "testsrc=size=160x90:rate=25"]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]);
    command.args(["-t", &seconds.to_string()]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-sc_threshold", "0", "-c:a", "aac"]);
    command.args(["-b:v", "200k", "-b:a", "64k"]);
    command.args(output).stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{log}");
    assert!(!log.contains("HTTP error") && !log.contains("Failed to"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_pushes_transport_streams() {
    let channel = Channel::new("HLS").await;
    let url = channel.url(1, "index.m3u8");
    let all = ["-map", "0:v", "-map", "1:a", "-f", "hls", "-method", "PUT", "-http_persistent", "1", "-hls_time", "1"];
    ffmpeg(7, &[&all[..], &["-hls_list_size", "3", "-hls_flags", "delete_segments", &url]].concat()).await;
    // ffmpeg hangs up without waiting for the answers to what it sends last.
    channel.until_ended(1, 1).await;
    let media = channel.media().await;
    assert!((7..=8).contains(&media.len()), "{media:?}");
    for (number, upload) in media.iter().enumerate() {
        assert_eq!((upload.input, upload.name.as_str()), (1, format!("index{number}.ts").as_str()));
        assert_eq!(upload.kind, UploadKind::Segment);
        assert!(upload.listed, "{upload:?}");
        let path = upload.path.as_ref().unwrap();
        assert_eq!(*path, format!("live/{}/media/{}.ts", channel.row().await.uid, upload.id));
        let info = channel.context().media.info(path).await.unwrap();
        assert_eq!((info.bytes, &info.etag), (upload.bytes.unsigned_abs(), &upload.etag));
    }
    channel
        .until("ffmpeg deletes old segments", async |c| {
            c.media().await[..3].iter().all(|upload| upload.status == UploadStatus::Gone)
        })
        .await;
    assert_eq!(media.last().unwrap().status, UploadStatus::Stored);
    let playlists = channel.playlists(1).await;
    assert_eq!(
        (playlists.len(), playlists[0].name.as_str(), playlists[0].kind),
        (1, "index.m3u8", UploadKind::Playlist)
    );
    let text = String::from_utf8(playlists[0].body.clone().unwrap()).unwrap();
    assert!(text.contains("#EXT-X-ENDLIST") && text.contains(&media.last().unwrap().name), "{text}");
    let status = channel.status(1).await;
    assert_eq!((&status["receiving"], &status["last_segment"]), (&json!(true), &json!(media.last().unwrap().name)));
    let bitrate = media.iter().map(|upload| upload.bytes).sum::<i64>() * 8 / 30;
    assert_eq!((&status["bitrate"], &status["aligned"]), (&json!(bitrate), &Value::Null), "{status}");
    assert_eq!((&status["refused"], &status["last_refusal"]), (&json!(0), &Value::Null), "{status}");
    assert!(status["uploads"].as_u64().unwrap() >= 10 && status["bytes"].as_u64().unwrap() > 10_000, "{status}");
    assert_eq!(channel.status(2).await["uploads"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_pushes_two_renditions_of_fragments_to_both_inputs() {
    let channel = Channel::new("HLS_CMAF").await;
    let push = async |input: usize| {
        let (url, segments) = (channel.url(input, "v%v/index.m3u8"), channel.url(input, "v%v/seg%d.m4s"));
        let output = [
            "-map",
            "0:v",
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-s:v:1",
            "80x44",
            "-f",
            "hls",
            "-method",
            "PUT",
            "-http_persistent",
            "1",
            "-hls_time",
            "1",
            "-hls_segment_type",
            "fmp4",
            "-hls_fmp4_init_filename",
            "init.mp4",
            "-master_pl_name",
            "main.m3u8",
            "-var_stream_map",
            "v:0,agroup:a v:1,agroup:a a:0,agroup:a",
            "-hls_segment_filename",
            &segments,
            &url,
        ];
        ffmpeg(3, &output).await;
    };
    tokio::join!(push(1), push(2));
    for input in [1, 2] {
        // ffmpeg 5.1 leaves the playlist of the audio as it is.
        channel.until_ended(input, 2).await;
        let media: Vec<Upload> = channel.media().await.into_iter().filter(|upload| upload.input == input).collect();
        let mut playlists: Vec<(String, UploadKind)> =
            channel.playlists(input).await.into_iter().map(|upload| (upload.name, upload.kind)).collect();
        playlists.sort_by(|a, b| a.0.cmp(&b.0));
        let media_playlist = |name: &str| (name.to_owned(), UploadKind::Playlist);
        let expected = ["v0/index.m3u8", "v1/index.m3u8", "v2/index.m3u8"].map(media_playlist);
        assert_eq!(playlists[0], ("main.m3u8".to_owned(), UploadKind::Multivariant));
        assert_eq!(playlists[1..], expected);
        for rendition in ["v0", "v1", "v2"] {
            let of: Vec<&Upload> = media.iter().filter(|upload| upload.name.starts_with(rendition)).collect();
            let inits: Vec<&&Upload> = of.iter().filter(|upload| upload.kind == UploadKind::Init).collect();
            assert!(inits.len() == 1 && inits[0].path.as_ref().unwrap().ends_with(".mp4"), "{of:?}");
            assert!(of.len() >= 4 && of.iter().all(|upload| upload.listed), "{of:?}");
            assert!(
                of.iter().filter(|u| u.kind == UploadKind::Segment).all(|u| u.path.as_ref().unwrap().ends_with(".m4s"))
            );
        }
        assert_eq!(channel.status(usize::try_from(input).unwrap()).await["refused"], 0);
    }
}

#[tokio::test]
async fn only_who_has_the_credentials_of_an_input_may_push_to_it() {
    let channel = Channel::new("HLS").await;
    let ask = async |input: &str, name: &str, authorization: &str| {
        let mut connection = channel.connect().await;
        let head = format!(
            "PUT /ingest/v1/news/{input}/{name} HTTP/1.1\r\nHost: x\r\n{authorization}Content-Length: {}\r\n\r\n",
            transport(1).len()
        );
        connection.write(head.as_bytes()).await;
        connection.write(&transport(1)).await;
        connection.answer().await
    };
    let good = channel.authorization(1);
    let basic = |text: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(text));
    let user = channel.credentials(1).split(':').next().unwrap().to_owned();
    for (input, name, authorization) in [
        ("1", "one/a.ts", String::new()),
        ("1", "one/a.ts", basic("")),
        ("1", "one/a.ts", basic(&format!("{user}:wrong"))),
        ("1", "one/a.ts", format!("Authorization: Bearer {}\r\n", common::TOKEN)),
        ("2", "one/a.ts", good.clone()),
        ("1", "other/a.ts", good.clone()),
    ] {
        let (status, body) = ask(input, name, &authorization).await;
        assert_eq!(status, 401, "{body}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["detail"], ask("1", "none/a.ts", "").await.1.parse::<Value>().unwrap()["detail"], "no hint");
    }
    let challenge = http::Request::put("/ingest/v1/news/1/one/a.ts").body(axum::body::Body::empty()).unwrap();
    let challenge = channel.control.send(challenge).await;
    assert!(challenge.header(http::header::WWW_AUTHENTICATE).starts_with("Basic realm="));
    assert_eq!(channel.status(1).await["refused"], 3, "asking without any is how encoders begin");
    assert_eq!(channel.status(2).await["refused"], 1);
    assert_eq!(channel.status(2).await["last_refusal"], "wrong user name or password");
    assert_eq!(channel.files(), Vec::<String>::new());
    assert_eq!(ask("1", "one/a.ts", &good).await.0, 201);
    assert_eq!(ask("3", "one/a.ts", &good).await.0, 404);

    let path = "/v1/channel-groups/news/channels/one/inputs/1/credentials";
    let new = channel.control.call(Method::POST, path, None).await.json()["inputs"][0].clone();
    assert_eq!(ask("1", "one/b.ts", &good).await.0, 401, "rotated");
    let new = basic(&format!("{}:{}", new["username"].as_str().unwrap(), new["password"].as_str().unwrap()));
    assert_eq!(ask("1", "one/b.ts", &new).await.0, 201);
    assert_eq!(ask("2", "one/b.ts", &channel.authorization(2)).await.0, 201, "the other input stays");
}

#[tokio::test]
async fn names_stay_below_the_channel() {
    let channel = Channel::new("HLS").await;
    let long = "n".repeat(MAX_UPLOAD_NAME_BYTES - 3);
    for name in [
        "../a.ts",
        "a/../../b.ts",
        "%2e%2e/a.ts",
        "a%2f..%2fb.ts",
        "a//b.ts",
        "a%00b.ts",
        "a%5cb.ts",
        &(long.clone() + "n.ts"),
    ] {
        let (status, body) = channel.send("PUT", name, &transport(1)).await;
        assert_eq!(status, 422, "{name}: {body}");
        assert_eq!(channel.send("DELETE", name, b"").await.0, 422, "{name}");
    }
    assert_eq!(channel.files(), Vec::<String>::new());
    assert_eq!(channel.status(1).await["refused"], 8);
    for name in [&format!("{long}.ts"), "deep/folder/a%20b.ts", "%C3%BC.ts?token=1"] {
        assert_eq!(channel.put(name, &transport(1)).await, 201, "{name}");
    }
    let names: Vec<String> = channel.media().await.into_iter().map(|upload| upload.name).collect();
    assert_eq!(names[1..], ["deep/folder/a b.ts", "ü.ts"]);
}

#[tokio::test]
async fn a_body_that_stops_half_way_leaves_nothing() {
    let channel = Channel::new("HLS").await;
    for body in ["Content-Length: 1000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nfffff\r\n"] {
        let mut connection = channel.connect().await;
        let head = format!("PUT /ingest/v1/news/1/one/a.ts HTTP/1.1\r\nHost: x\r\n{}{body}", channel.authorization(1));
        connection.write(head.as_bytes()).await;
        connection.write(&transport(100)).await;
        channel
            .until("it is announced", async |c| {
                !uploads::receiving(&mut c.context().db.read().await.unwrap()).await.unwrap().is_empty()
            })
            .await;
        let refused = channel.status(1).await["refused"].as_u64().unwrap();
        drop(connection);
        channel.until("it is counted", async |c| c.status(1).await["refused"] == refused + 1).await;
        let reason = channel.status(1).await["last_refusal"].as_str().unwrap().to_owned();
        assert!(reason.contains("a.ts: the body ended early"), "{reason}");
        assert!(uploads::receiving(&mut channel.context().db.read().await.unwrap()).await.unwrap().is_empty());
        assert_eq!((channel.files(), channel.media().await.len()), (Vec::new(), 0));
    }
    let mut connection = channel.connect().await;
    let head = format!(
        "PUT /ingest/v1/news/1/one/a.m3u8 HTTP/1.1\r\nHost: x\r\n{}Content-Length: 1000\r\n\r\n#EXTM3U\n",
        channel.authorization(1)
    );
    connection.write(head.as_bytes()).await;
    drop(connection);
    channel.until("it is counted", async |c| c.status(1).await["refused"] == 3).await;
    assert!(channel.playlists(1).await.is_empty());
}

#[tokio::test]
async fn what_a_killed_process_left_behind_is_removed() {
    let channel = Channel::new("HLS").await;
    assert_eq!(channel.put("kept.ts", &transport(2)).await, 201);
    let row = channel.row().await;
    let mut tx = channel.context().db.write().await.unwrap();
    let target = channel_inputs::target(&mut tx, "news", "one", 1).await.unwrap().unwrap();
    for name in ["a.ts", "b.ts"] {
        let id = uploads::announce(&mut tx, &target, name, 0).await.unwrap();
        uploads::set_path(&mut tx, id, &format!("live/{}/media/{id}.ts", row.uid)).await.unwrap();
    }
    tx.commit().await.unwrap();
    // One was being written, the other was written and not acknowledged; and there is one with a longer number.
    channel.control.write_media(&format!("live/{}/media/2.ts#1", row.uid), b"half");
    channel.control.write_media(&format!("live/{}/media/3.ts", row.uid), b"whole");
    channel.control.write_media(&format!("live/{}/media/12.ts#1", row.uid), b"another");
    assert_eq!(receive::recover(channel.context()).await.unwrap(), 2);
    assert_eq!(channel.files(), ["1.ts", "12.ts#1"]);
    assert_eq!(channel.media().await.len(), 1);
    assert_eq!(receive::recover(channel.context()).await.unwrap(), 0);
    assert_eq!(channel.put("c.ts", &transport(1)).await, 201);
    assert_eq!(channel.media().await.last().unwrap().id, 4, "no number is used twice");
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let channel = Channel::new("HLS").await;
    for (name, length) in [("a.ts", 2_u64 << 30), ("a.ts", (512 << 20) + 1), ("a.m3u8", (1 << 20) + 1)] {
        let mut connection = channel.connect().await;
        let head = format!(
            "PUT /ingest/v1/news/1/one/{name} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {length}\r\n\r\n",
            channel.authorization(1)
        );
        connection.write(head.as_bytes()).await;
        let (status, body) = connection.answer().await;
        assert_eq!(status, 413, "{body}");
    }
    // A playlist whose length is not told.
    let mut connection = channel.connect().await;
    let head = format!(
        "PUT /ingest/v1/news/1/one/a.m3u8 HTTP/1.1\r\nHost: x\r\n{}Transfer-Encoding: chunked\r\n\r\n",
        channel.authorization(1)
    );
    connection.write(head.as_bytes()).await;
    for _ in 0..17 {
        connection.write(b"10000\r\n").await;
        connection.write(&[b'#'; 0x10000]).await;
        connection.write(b"\r\n").await;
    }
    assert_eq!(connection.answer().await.0, 413);
    assert_eq!(channel.status(1).await["refused"], 4);
    assert_eq!(channel.files(), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_packaged_is_refused_with_a_reason() {
    let ts = Channel::new("HLS").await;
    let cmaf = Channel::new("HLS_CMAF").await;
    let vod = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:2,\n1.ts\n#EXT-X-ENDLIST\n";
    let recording = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n1.ts\n#EXT-X-ENDLIST\n";
    let encrypted = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:2,\n1.ts\n";
    for (channel, name, body, reason) in [
        (&ts, "a.m4s", boxes(&[b"styp", b"moof"]), "made of boxes"),
        (&ts, "a.ts", b"<html></html>".to_vec(), "HTML"),
        (&ts, "a.ts", Vec::new(), "empty"),
        (&ts, "a.ts", null_packets(10), "no program association table"),
        (&ts, "a.ts", media("ts/144p/1.ts")[188 * 300..].to_vec(), "no program association table"),
        (&cmaf, "init.mp4", encrypted_init().await, "encrypted"),
        (&cmaf, "init.mp4", media("cmaf/144p/init.mp4")[..800].to_vec(), ""),
        (&cmaf, "a.ts", transport(3), "transport stream"),
        (&cmaf, "a.mp4", boxes(&[b"ftyp", b"free"]), "neither"),
        (&cmaf, "a.mp4", boxes(&[b"ftyp", b"mdat", b"moov"]), "before"),
        (&ts, "a.m3u8", vod.to_vec(), "VOD"),
        (&ts, "a.m3u8", recording.to_vec(), "EXT-X-ENDLIST"),
        (&ts, "a.m3u8", encrypted.to_vec(), "encrypted"),
        (&ts, "a.m3u8", b"hello".to_vec(), "#EXTM3U"),
    ] {
        let (status, body) = channel.send("PUT", name, &body).await;
        assert_eq!(status, 422, "{name} {reason}: {body}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{reason}: {problem}");
        let status = channel.status(1).await;
        let last = status["last_refusal"].as_str().unwrap();
        assert!(last.starts_with(name) && last.contains(reason), "{last}");
        assert_eq!((channel.files(), channel.media().await.len()), (Vec::new(), 0), "nothing stays");
        assert!(channel.playlists(1).await.is_empty());
    }
    assert_eq!((ts.status(1).await["refused"].clone(), cmaf.status(1).await["refused"].clone()), (json!(9), json!(5)));
    assert_eq!(ts.status(2).await["refused"], 0);
}

#[tokio::test]
async fn names_may_be_used_again_and_deleted() {
    let channel = Channel::new("HLS").await;
    assert_eq!(channel.put("1.ts", &transport(1)).await, 201);
    assert_eq!(channel.send("POST", "1.ts", &transport(2)).await.0, 200);
    assert_eq!(channel.put("list.m3u8", LIVE).await, 201);
    assert_eq!(channel.put("list.m3u8", LIVE).await, 200);
    let media = channel.media().await;
    let seen: Vec<(i64, UploadStatus, bool)> = media.iter().map(|u| (u.bytes, u.status, u.listed)).collect();
    let bytes = |more: usize| i64::try_from(transport(more).len()).unwrap();
    assert_eq!(seen, [(bytes(1), UploadStatus::Replaced, false), (bytes(2), UploadStatus::Stored, true)]);
    assert_eq!(channel.files(), ["1.ts", "2.ts"], "the archive keeps both");
    assert_eq!(channel.playlists(1).await.len(), 1);

    for _ in 0..2 {
        assert_eq!(channel.send("DELETE", "1.ts", b"").await, (204, String::new()));
    }
    assert_eq!(channel.media().await[1].status, UploadStatus::Gone);
    assert_eq!(channel.files(), ["1.ts", "2.ts"]);
    assert_eq!(channel.send("DELETE", "list.m3u8", b"").await.0, 204);
    assert!(channel.playlists(1).await.is_empty());
    assert_eq!(channel.put("1.ts", &transport(3)).await, 201, "the name was free");

    let ended = [LIVE, b"#EXT-X-ENDLIST\n"].concat();
    assert_eq!(channel.put("list.m3u8", &ended).await, 422, "the first of its name");
    assert_eq!(channel.put("list.m3u8", LIVE).await, 201);
    assert_eq!(channel.put("list.m3u8", &ended).await, 200, "the encoder is done");
    assert_eq!(channel.put("list.m3u8", &ended).await, 200, "and says so again");
    assert_eq!(channel.put("list.m3u8", LIVE).await, 200, "and begins anew");
    for method in ["GET", "HEAD", "PATCH"] {
        let request = http::Request::builder().method(method).uri("/ingest/v1/news/1/one/1.ts");
        let answer = channel.control.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 405, "{method}");
    }
}

#[tokio::test]
async fn connections_are_used_again_and_bodies_asked_for() {
    let channel = Channel::new("HLS").await;
    let mut connection = channel.connect().await;
    let start = |name: &str| format!("PUT /ingest/v1/news/1/one/{name} HTTP/1.1\r\nHost: x\r\n");
    // First without credentials and with a question, as ffmpeg does.
    connection
        .write(format!("{}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", start("1.ts")).as_bytes())
        .await;
    assert_eq!(connection.answer().await.0, 401);
    let mut connection = channel.connect().await;
    for name in ["1.ts", "2.ts", "3.ts"] {
        let head = format!(
            "{}{}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
            start(name),
            channel.authorization(1)
        );
        connection.write(head.as_bytes()).await;
        assert_eq!(connection.answer().await.0, 100, "{name}");
        for chunk in transport(0).chunks(30_000) {
            connection.write(format!("{:x}\r\n", chunk.len()).as_bytes()).await;
            connection.write(chunk).await;
            connection.write(b"\r\n").await;
        }
        connection.write(b"0\r\n\r\n").await;
        assert_eq!(connection.answer().await.0, 201, "{name}");
    }
    let expected = i64::try_from(transport(0).len()).unwrap();
    assert_eq!(channel.media().await.iter().map(|upload| upload.bytes).collect::<Vec<_>>(), [expected; 3]);
}

#[tokio::test]
async fn large_segments_are_written_part_by_part() {
    let channel = Channel::new("HLS").await;
    let empty = |n: u32| [&[0x47, 0x1f, 0xff, 0x10][..], &n.to_be_bytes().repeat(46)].concat();
    let body: Vec<u8> = transport(0).into_iter().chain((0..20_000).flat_map(empty)).collect();
    assert_eq!(channel.put("a.ts", &body).await, 201);
    let upload = channel.media().await.remove(0);
    assert_eq!(upload.bytes.unsigned_abs(), body.len() as u64);
    let path = upload.path.unwrap();
    let stored = channel.context().media.read(&path, 0..body.len() as u64, upload.etag.as_deref()).await.unwrap();
    assert!(stored == body);
    assert_eq!(channel.files(), ["1.ts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_takes_so_many_uploads_at_a_time_and_others_feel_nothing() {
    let channel = Channel::new("HLS").await;
    let mut open = Vec::new();
    for number in 0..control::ingest::MAX_CONCURRENT_UPLOADS {
        let mut connection = channel.connect().await;
        let head = format!(
            "PUT /ingest/v1/news/1/one/{number}.ts HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n",
            channel.authorization(1),
            transport(1).len()
        );
        connection.write(head.as_bytes()).await;
        connection.write(&transport(0)).await;
        open.push(connection);
    }
    channel
        .until("all are under way", async |c| {
            let count = uploads::receiving(&mut c.context().db.read().await.unwrap()).await.unwrap().len();
            count == control::ingest::MAX_CONCURRENT_UPLOADS
        })
        .await;
    let (status, body) = channel.send("PUT", "more.ts", &transport(1)).await;
    assert_eq!(status, 429, "{body}");
    assert!(body.contains("more than one encoder"), "{body}");
    let mut other = channel.connect().await;
    let head = format!(
        "PUT /ingest/v1/news/2/one/a.ts HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n",
        channel.authorization(2),
        transport(1).len()
    );
    other.write(head.as_bytes()).await;
    other.write(&transport(1)).await;
    assert_eq!(other.answer().await.0, 201, "the other input");
    for connection in &mut open {
        connection.write(&null_packets(1)).await;
        assert_eq!(connection.answer().await.0, 201);
    }
    assert_eq!(channel.put("more.ts", &transport(1)).await, 201);
}

#[tokio::test]
async fn a_channel_that_is_removed_takes_nothing() {
    let channel = Channel::new("HLS").await;
    let mut connection = channel.connect().await;
    let head = format!(
        "PUT /ingest/v1/news/1/one/a.ts HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n",
        channel.authorization(1),
        transport(1).len()
    );
    connection.write(head.as_bytes()).await;
    connection.write(&transport(0)).await;
    channel
        .until("it is announced", async |c| {
            !uploads::receiving(&mut c.context().db.read().await.unwrap()).await.unwrap().is_empty()
        })
        .await;
    assert_eq!(channel.control.delete("/v1/channel-groups/news/channels/one").await.status, 200);
    connection.write(&null_packets(1)).await;
    assert_eq!(connection.answer().await.0, 410);
    assert_eq!(channel.files(), Vec::<String>::new());
    assert_eq!(channel.put("b.ts", &transport(1)).await, 401);
}
