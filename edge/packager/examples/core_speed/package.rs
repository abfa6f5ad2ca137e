//! What a packager that is run from a command line does: files to CMAF segments on disk.

use std::fs;
use std::path::Path;

use packager::config::{PackageType, Scheme};

use crate::Result;
use crate::title::{Disk, Title, body};

/// Indexes files and writes every segment; prints how many bytes those have.
pub fn run(folder: &str, out: &str, scheme: &str, files: &[&str]) -> Result<()> {
    let scheme = match scheme {
        "clear" => None,
        name => Some(serde_json::from_value::<Scheme>(name.into())?),
    };
    let title = Title::learn(folder, "title", files)?;
    let documents = title.documents(PackageType::Cmaf, scheme)?;
    let (mut prepared, mut bytes, mut total) = (None, Vec::new(), 0);
    for route in title.segments(&documents)? {
        let path = Path::new(out).join(route.to_string().trim_start_matches('/'));
        body(&title.respond(route, &documents, &mut prepared)?, &Disk(folder), &mut bytes)?;
        fs::create_dir_all(path.parent().ok_or("a path without a folder")?)?;
        fs::write(&path, &bytes)?;
        total += bytes.len() as u64;
    }
    println!("{}", serde_json::json!({ "bytes": total }));
    Ok(())
}
