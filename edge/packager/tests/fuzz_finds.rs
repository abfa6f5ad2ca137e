//! Replays what the fuzz targets once found: `fuzz/finds/{target}/*`.

mod drive;

use std::fs;
use std::path::Path;

fn replay(target: &str, drive: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/finds").join(target);
    let Ok(entries) = fs::read_dir(&folder) else { return 0 };
    let finds = entries.map(|e| e.expect("a readable folder").path());
    finds.map(|path| drive(&fs::read(path).expect("a readable find"))).count()
}

#[test]
fn finds_stay_fixed() {
    let replayed = replay("file", drive::file) + replay("index", drive::index) + replay("job", drive::job);
    assert!(replayed > 0, "the finds are in the repository");
    replay("route", drive::route);
}
