//! Media in S3-compatible storage, here SeaweedFS.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::ffmpeg::{self, Reading, Sound};
use e2e::http::Client;
use e2e::{Control, Setup, media, playlist, tools};

const KEY: &str = "edgepack";
const SECRET: &str = "edgepack-secret-key";
const BUCKET: &str = "films";

struct Storage {
    url: String,
    child: Child,
}

impl Storage {
    fn start(folder: &Path) -> Self {
        // Anybody may put objects, so that the test needs no signatures; the control plane reads with its key.
        let configuration = serde_json::json!({ "identities": [
            { "name": "anonymous", "actions": ["Admin", "Read", "Write", "List"] },
            { "name": "control", "credentials": [{ "accessKey": KEY, "secretKey": SECRET }], "actions": ["Read", "List"] },
        ]});
        let path = folder.join("s3.json");
        std::fs::write(&path, configuration.to_string()).expect("a configuration");
        let data = folder.join("objects");
        std::fs::create_dir_all(&data).expect("a folder");
        let [master, volume, filer, s3] = [port(), port(), port(), port()];
        let log = std::fs::File::create(folder.join("weed.log")).expect("a log");
        let child = Command::new(tools::seaweedfs())
            .args([
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-s3",
                "-volume.max=8",
                "-master.volumeSizeLimitMB=64",
            ])
            .arg(format!("-dir={}", data.display()))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .arg(format!("-s3.config={}", path.display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("SeaweedFS");
        let storage = Self { url: format!("http://127.0.0.1:{s3}"), child };
        let client = Client::default();
        let started = Instant::now();
        let bucket = format!("{}/{BUCKET}", storage.url);
        while client.try_send("PUT", &bucket, &[], b"").is_none_or(|answer| answer.status != 200) {
            assert!(started.elapsed() < Duration::from_secs(60), "SeaweedFS does not answer; see {}", folder.display());
            std::thread::sleep(Duration::from_millis(100));
        }
        storage
    }

    fn put(&self, key: &str, file: &Path) {
        let bytes = std::fs::read(file).expect("a file");
        let answer = Client::default().send("PUT", &format!("{}/{BUCKET}/{key}", self.url), &[], &bytes);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port whose neighbour 10000 above, which SeaweedFS takes for its own protocol, is free too.
fn port() -> u16 {
    loop {
        let address = e2e::control::free_address();
        let above = address.port().checked_add(10_000);
        if let Some(above) = above.filter(|port| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], *port))).is_ok()) {
            return above - 10_000;
        }
    }
}

fn control(storage: &Storage, folder: &Path) -> Control {
    let environment = [
        ("AWS_ENDPOINT", storage.url.as_str()),
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Setup { media: Some(format!("s3://{BUCKET}/shows")), environment, ..Setup::at(folder) }.start()
}

#[test]
fn media_in_s3_is_played_and_a_changed_object_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = Storage::start(folder.path());
    for file in media::ladder() {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        storage.put(&format!("shows/one/{name}"), &file);
    }
    let control = control(&storage, folder.path());
    control.group("s3", 2);
    let paths: Vec<String> = media::ladder()
        .iter()
        .map(|file| format!("one/{}", file.file_name().expect("a name").to_string_lossy()))
        .collect();
    control.submit("s3", "sample", &paths);
    let asset = control.finished("sample");
    assert_eq!(asset.status(), "PLAYABLE", "{}", asset.json);

    let hls = control.playback(&asset, "CMAF");
    let read = |input: &str| {
        ffmpeg::read(&Reading { input, video: &[0], audio: &[], options: &[], decode: true, sound: Sound::Packets })
            .unwrap_or_else(|error| panic!("{input}: {error}"))
    };
    let source = read(&media::ladder()[0].to_string_lossy());
    let multivariant = playlist::Multivariant::fetch(&control.client, &hls);
    let lowest =
        multivariant.media_urls().into_iter().find(|url| playlist::track(url) == "v0").expect("the first rendition");
    assert_eq!(read(&lowest).video[0].hashes, source.video[0].hashes);

    let missing =
        serde_json::json!({ "name": "none", "packaging_group": "s3", "sources": [{ "path": "one/none.mp4" }] });
    control.rest("POST", "/v1/assets", Some(&missing));
    let none = control.finished("none");
    assert_eq!(none.status(), "FAILED", "{}", none.json);
    assert!(none.failure().contains("one/none.mp4"), "{}", none.failure());

    // Another file under the same name: the index no longer fits, and serving bytes of it would show garbage.
    storage.put("shows/one/video_180p.mp4", &media::ladder()[1]);
    let segment = playlist::Media::fetch(&control.client, &lowest).segment_urls().pop().expect("a segment");
    let answer = control.client.send("GET", &segment, &[], &[]);
    assert_eq!(answer.status, 502, "{:?}", answer.headers);
    assert!(answer.problem().contains("changed"), "{}", answer.text());
}
