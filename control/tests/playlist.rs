//! HLS titles as sources: what an ingest reads, what it says when it cannot, and what edges may read afterwards.

mod common;

use std::path::Path;

use common::Control;
use control::archive::Storage;
use control::ingest::assets::tick;
use http::Method;
use object_store::Error;
use packager::config::{Body, Document};
use serde_json::{Value, json};

/// Puts a title of the media of the tests below `titles/`.
fn add_title(control: &Control, name: &str) {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/media/hls").join(name);
    copy(&from, &control.directory.path().join("media/titles").join(name));
}

/// Adds an asset with a playlist and indexes it.
async fn ingest(control: &Control, name: &str, path: &str) -> Value {
    let body = json!({"name": name, "packaging_group": "films", "source": {"path": path}});
    assert_eq!(control.post("/v1/assets", body).await.status, 202);
    assert!(tick(&control.context).await.unwrap());
    control.get(&format!("/v1/assets/{name}")).await.json()
}

async fn served(control: &Control, path: &str) -> u16 {
    let answer = control.origin(Method::GET, &format!("/origin/v1/media/{path}"), &[("range", "bytes=0-0")]).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn a_title_is_indexed_and_its_objects_are_served() {
    let control = Control::new().await;
    control.add_group().await;
    for name in ["ts", "cmaf"] {
        add_title(&control, name);
        let asset = ingest(&control, name, &format!("titles/{name}/main.m3u8")).await;
        assert_eq!((&asset["status"], &asset["progress"]), (&json!("PLAYABLE"), &json!(1.0)), "{asset}");
        assert_eq!(asset["source"]["path"], format!("titles/{name}/main.m3u8"));
        assert!(asset.get("segments").is_none() && asset.get("sources").is_none(), "{asset}");
        assert_eq!(asset["warnings"], json!([]));
        assert_eq!(asset["tracks"].as_array().unwrap().len(), 4, "{asset}");
        assert_eq!(asset["tracks"][0]["source"], Value::Null);
        let document = control.origin(Method::GET, &format!("/origin/v1/documents/asset/films/{name}"), &[]).await;
        let Body::Asset(document) = Document::from_json(&document.body).unwrap().body else { panic!("an asset") };
        assert_eq!(document.sources, []);
    }
    control.write_media("titles/other.mp4", b"other");
    assert_eq!(served(&control, "titles/ts/144p/1.ts").await, 206);
    assert_eq!(served(&control, "titles/cmaf/eng/init.mp4").await, 206);
    assert_eq!(served(&control, "titles/other.mp4").await, 404);

    let patched = control.patch("/v1/assets/ts", json!({"source": {"path": "titles/cmaf/main.m3u8"}})).await;
    assert_eq!(patched.json()["status"], "QUEUED");
    assert!(tick(&control.context).await.unwrap());
    assert_eq!(served(&control, "titles/ts/144p/1.ts").await, 404);
    assert_eq!(served(&control, "titles/cmaf/eng/init.mp4").await, 206);
}

#[tokio::test]
async fn what_is_wrong_with_a_title_is_named() {
    let control = Control::new().await;
    control.add_group().await;
    add_title(&control, "ts");
    control.write_media("empty.m3u8", b"");
    control.write_media("film.mp4", b"this is no playlist");
    let media = control.directory.path().join("media/titles/ts");
    std::fs::remove_file(media.join("180p/2.ts")).unwrap();
    std::fs::write(media.join("144p/3.ts"), b"").unwrap();
    for (name, path, words) in [
        ("a", "none.m3u8", &["none.m3u8"][..]),
        ("b", "empty.m3u8", &["empty.m3u8"]),
        ("c", "film.mp4", &["film.mp4"]),
        ("d", "titles/ts/main.m3u8", &["titles/ts/"]),
        ("e", "titles/ts/144p/index.m3u8", &["titles/ts/144p/index.m3u8"]),
    ] {
        let asset = ingest(&control, name, path).await;
        assert_eq!(asset["status"], "FAILED", "{asset}");
        let reason = asset["failure"]["reason"].as_str().unwrap();
        assert!(words.iter().all(|word| reason.contains(word)), "{path}: {reason}");
        assert!(
            !reason.contains("internal") && !reason.contains(control.directory.path().to_str().unwrap()),
            "{reason}"
        );
    }
    assert_eq!(served(&control, "titles/ts/144p/1.ts").await, 404, "nothing of a failed asset is served");
}

#[tokio::test]
async fn a_read_gives_what_there_is_and_says_what_it_is_of() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(None, &directory.path().join("media")).unwrap();
    std::fs::write(directory.path().join("media/a"), b"0123456789").unwrap();
    std::fs::write(directory.path().join("media/empty"), b"").unwrap();
    let tag = storage.info("a").await.unwrap().etag.unwrap();
    for (range, etag, bytes) in [
        (0..10, None, &b"0123456789"[..]),
        (3..5, Some(tag.as_str()), b"34"),
        (8..u64::MAX, None, b"89"),
        (10..20, Some(tag.as_str()), b""),
        (11..20, None, b""),
    ] {
        let (info, read) = storage.read_some("a", range.clone(), etag).await.unwrap();
        assert_eq!((info.bytes, info.etag.as_ref(), &read[..]), (10, Some(&tag), bytes), "{range:?}");
    }
    let (info, read) = storage.read_some("empty", 0..100, None).await.unwrap();
    assert_eq!((info.bytes, read.len()), (0, 0));
    for range in [0..5, 10..20] {
        let changed = storage.read_some("a", range.clone(), Some("\"other\"")).await.unwrap_err();
        assert!(matches!(changed, Error::Precondition { .. }), "{range:?}: {changed}");
        let gone = storage.read_some("none", range, None).await.unwrap_err();
        assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
    }
}
