//! An index whose objects lie elsewhere: what a harvested range becomes once its objects have been copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::SourceObject;
use crate::error::{Error, Result};
use crate::index::block::{self, Block, Object, Source};
use crate::index::head::Storage;
use crate::index::{Fragment, Head, Track};
use crate::limits;

/// The objects that an index names, each once, by path.
///
/// # Errors
/// `BadSource` when the index breaks its format.
pub fn objects(index: &[u8], head_bytes: u64) -> Result<BTreeMap<String, Arc<SourceObject>>> {
    let head = read_head(index, head_bytes)?;
    let mut found = BTreeMap::new();
    let mut block = Block::default();
    for track in head.tracks.iter().filter(|t| has_objects(t)) {
        for fragment in &track.fragments {
            block.objects.clear();
            block.read(track, fragment, own(index, fragment)?)?;
            for Object { object, .. } in &block.objects {
                if !found.contains_key(&object.path) {
                    found.insert(object.path.clone(), object.clone());
                }
            }
        }
    }
    Ok(found)
}

/// The same index over copies of its objects: `copy` answers path and entity tag of the copy of an object. All these paths
/// begin with `prefix`. Answers the index and the length of its head.
///
/// # Errors
/// `BadSource` when the index breaks its format, `Limit` when it becomes too large.
pub fn relocate(
    index: &[u8],
    head_bytes: u64,
    prefix: &str,
    copy: impl Fn(&SourceObject) -> (String, Option<String>),
) -> Result<(Vec<u8>, u64)> {
    let mut head = read_head(index, head_bytes)?;
    let mut blocks = Vec::with_capacity(index.len());
    for track in &mut head.tracks {
        let before = track.clone();
        match &mut track.storage {
            Storage::Objects { prefix: own } | Storage::Transport { prefix: own, .. } => prefix.clone_into(own),
            Storage::File(_) | Storage::Index => {
                for fragment in &track.fragments {
                    blocks.extend_from_slice(own(index, fragment)?);
                }
                continue;
            }
        }
        let mut source = Source::default();
        for (at, fragment) in before.fragments.iter().enumerate() {
            source.block.objects.clear();
            // Stretches stand last, and where the objects lie changes nothing in them.
            let stretches = source.block.read(&before, fragment, own(index, fragment)?)?;
            for Object { object, .. } in &mut source.block.objects {
                let (path, etag) = copy(object);
                *object = Arc::new(SourceObject { path, bytes: object.bytes, etag });
            }
            let start = blocks.len();
            block::write(track, &source, &mut blocks);
            blocks.extend_from_slice(stretches);
            let length = u32::try_from(blocks.len() - start);
            if let Some(fragment) = track.fragments.get_mut(at) {
                fragment.block_bytes = length.map_err(|_| Error::limit("index: a block becomes too large"))?;
            }
        }
    }
    let mut bytes = head.write();
    let head_bytes = bytes.len() as u64;
    let length = head_bytes + blocks.len() as u64;
    if head_bytes > limits::MAX_HEAD_BYTES || length > limits::MAX_INDEX_BYTES {
        return Err(Error::limit(format!("the index of the copies would have {length} bytes")));
    }
    bytes.append(&mut blocks);
    Ok((bytes, head_bytes))
}

fn has_objects(track: &Track) -> bool {
    matches!(track.storage, Storage::Objects { .. } | Storage::Transport { .. })
}

fn read_head(index: &[u8], head_bytes: u64) -> Result<Head> {
    let head = usize::try_from(head_bytes).ok().and_then(|length| index.get(..length));
    let head = head.ok_or_else(|| Error::bad_source("index: it is shorter than its head"))?;
    Head::read(head, index.len() as u64)
}

/// The block of a fragment.
fn own<'a>(index: &'a [u8], fragment: &Fragment) -> Result<&'a [u8]> {
    let start = usize::try_from(fragment.block_offset).ok();
    let end = start.and_then(|start| start.checked_add(fragment.block_bytes as usize));
    let block = start.zip(end).and_then(|(start, end)| index.get(start..end));
    block.ok_or_else(|| Error::bad_source("index: a block is missing"))
}
