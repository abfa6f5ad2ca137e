//! A place for objects: a local directory or a bucket.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};

/// What is gathered of a body before it is written to a directory.
const DIRECTORY_PART_BYTES: usize = 256 << 10;
/// The smallest part of an object that S3 takes, but for the last one.
const BUCKET_PART_BYTES: usize = 5 << 20;

/// A place for objects, addressed by paths that pass [`packager::config::is_storage_path`].
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    description: String,
    /// What is gathered of a body before it is written.
    part_bytes: usize,
    /// The directory, if it is one.
    directory: Option<PathBuf>,
}

/// What storage says about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Length in bytes.
    pub bytes: u64,
    /// Strong entity tag, if the storage has one.
    pub etag: Option<String>,
}

impl Storage {
    /// Opens `location`: a directory, `file:///absolute/directory` or `s3://bucket/prefix`. Without a location it is
    /// `default`, which is made.
    ///
    /// # Errors
    /// When the location has another form, or the directory does not exist.
    pub fn open(location: Option<&str>, default: &Path) -> Result<Self> {
        let Some(location) = location else {
            std::fs::create_dir_all(default).with_context(|| format!("making {}", default.display()))?;
            return Self::directory(default);
        };
        match location.split_once("://") {
            None => Self::directory(Path::new(location)),
            Some(("file", path)) if path.starts_with('/') => Self::directory(&percent_decoded(path)?),
            Some(("file", _)) => bail!("{location} is not absolute; write file:///directory or a plain path"),
            Some(("s3", rest)) => Self::bucket(location, rest),
            Some((scheme, _)) => bail!("{scheme}:// is not supported; use a directory, file:/// or s3://"),
        }
    }

    fn directory(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            bail!("the directory {} does not exist; make it or name another", path.display());
        }
        // Indexes must survive a power cut once an asset is PLAYABLE.
        let store = LocalFileSystem::new_with_prefix(path)
            .with_context(|| format!("opening the directory {}", path.display()))?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            description: path.display().to_string(),
            part_bytes: DIRECTORY_PART_BYTES,
            directory: Some(path.to_owned()),
        })
    }

    fn bucket(location: &str, rest: &str) -> Result<Self> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            bail!("{location} names no bucket; write s3://bucket/prefix");
        }
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .build()
            .with_context(|| format!("{location}: check AWS_ENDPOINT, AWS_REGION and the credentials"))?;
        let prefix = prefix.trim_matches('/');
        let store: Arc<dyn ObjectStore> = if prefix.is_empty() {
            Arc::new(store)
        } else {
            let prefix = object_store::path::Path::parse(prefix).with_context(|| format!("prefix of {location}"))?;
            Arc::new(PrefixStore::new(store, prefix))
        };
        Ok(Self { store, description: location.to_owned(), part_bytes: BUCKET_PART_BYTES, directory: None })
    }

    /// Where it is, for logs.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Length and tag of an object.
    ///
    /// # Errors
    /// As the storage says; `NotFound` when there is no such object.
    pub async fn info(&self, path: &str) -> object_store::Result<ObjectInfo> {
        let meta = self.store.head(&location(path)?).await?;
        Ok(ObjectInfo { bytes: meta.size, etag: strong(meta.e_tag) })
    }

    /// Exactly `range` of an object, provided that its tag is still `etag`.
    ///
    /// # Errors
    /// As the storage says; `Precondition` when the object has another tag.
    pub async fn read(&self, path: &str, range: Range<u64>, etag: Option<&str>) -> object_store::Result<Bytes> {
        let range = GetRange::Bounded(range);
        let options = GetOptions { range: Some(range), if_match: etag.map(str::to_owned), ..GetOptions::default() };
        self.store.get_opts(&location(path)?, options).await?.bytes().await
    }

    /// What there is of `range` in an object, with what the storage says about all of it, provided that its tag is still
    /// `etag`. Nothing when the range begins at its end or after.
    ///
    /// # Errors
    /// As the storage says; `Precondition` when the object has another tag.
    pub async fn read_some(
        &self,
        path: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> object_store::Result<(ObjectInfo, Bytes)> {
        let start = range.start;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: etag.map(str::to_owned),
            ..GetOptions::default()
        };
        match self.store.get_opts(&location(path)?, options).await {
            Ok(result) => {
                let info = ObjectInfo { bytes: result.meta.size, etag: strong(result.meta.e_tag.clone()) };
                Ok((info, result.bytes().await?))
            }
            Err(
                error @ (object_store::Error::NotFound { .. }
                | object_store::Error::Precondition { .. }
                | object_store::Error::InvalidPath { .. }),
            ) => Err(error),
            // Storage does not tell a range outside of the object from other failures.
            Err(error) => match self.info(path).await {
                Ok(info) if info.bytes <= start && (etag.is_none() || info.etag.as_deref() == etag) => {
                    Ok((info, Bytes::new()))
                }
                Err(gone @ object_store::Error::NotFound { .. }) => Err(gone),
                _ => Err(error),
            },
        }
    }

    /// Opens an object with all options, for streaming.
    pub(super) async fn get(&self, path: &str, options: GetOptions) -> object_store::Result<object_store::GetResult> {
        self.store.get_opts(&location(path)?, options).await
    }

    /// Writes an object, whole or not at all; once this returns it is durable.
    ///
    /// # Errors
    /// As the storage says.
    pub async fn write(&self, path: &str, bytes: Bytes) -> object_store::Result<()> {
        self.store.put(&location(path)?, PutPayload::from_bytes(bytes)).await.map(drop)
    }

    /// Writes an object from a body, of which only a part is in memory at a time; whole or not at all. Once this returns it
    /// is durable. In a bucket, parts stay behind when the process ends meanwhile; a rule of the bucket should remove those.
    ///
    /// # Errors
    /// What the body fails with, or the storage.
    pub async fn write_stream<E: From<object_store::Error>>(
        &self,
        path: &str,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<ObjectInfo, E> {
        let place = location(path)?;
        let mut body = std::pin::pin!(body);
        let mut upload: Option<Box<dyn MultipartUpload>> = None;
        let (mut part, mut bytes) = (BytesMut::new(), 0_u64);
        let written = loop {
            match body.next().await {
                Some(Ok(chunk)) => {
                    bytes = bytes.saturating_add(chunk.len() as u64);
                    part.extend_from_slice(&chunk);
                }
                Some(Err(error)) => break Err(error),
                None => {
                    let rest = part.split().freeze();
                    let put = match &mut upload {
                        Some(upload) => complete(upload.as_mut(), rest).await,
                        // What fits into one part needs no more than one request.
                        None => self.store.put(&place, rest.into()).await,
                    };
                    break put.map_err(E::from);
                }
            }
            if part.len() >= self.part_bytes
                && let Err(error) = self.write_part(&place, &mut upload, part.split().freeze()).await
            {
                break Err(error.into());
            }
        };
        match written {
            Ok(put) => Ok(ObjectInfo { bytes, etag: strong(put.e_tag) }),
            Err(error) => {
                if let Some(mut upload) = upload
                    && let Err(error) = upload.abort().await
                {
                    tracing::warn!(path, %error, "an unfinished object could not be removed");
                }
                Err(error)
            }
        }
    }

    async fn write_part(
        &self,
        place: &object_store::path::Path,
        upload: &mut Option<Box<dyn MultipartUpload>>,
        part: Bytes,
    ) -> object_store::Result<()> {
        let upload = match upload {
            Some(upload) => upload,
            None => upload.insert(self.store.put_multipart(place).await?),
        };
        upload.put_part(part.into()).await
    }

    /// Removes what a write of `path` left behind that the end of the process cut off, and the object if it is there.
    ///
    /// # Errors
    /// As the storage says.
    pub async fn remove_unfinished(&self, path: &str) -> object_store::Result<()> {
        if let Some(directory) = &self.directory {
            // A file is written under its name and `#` with a number, and then renamed.
            let file = directory.join(path);
            let (folder, name) = (file.parent(), file.file_name().and_then(|name| name.to_str()));
            if let (Some(folder), Some(name)) = (folder, name)
                && let Ok(mut entries) = tokio::fs::read_dir(folder).await
            {
                let staged = format!("{name}#");
                while let Ok(Some(entry)) = entries.next_entry().await {
                    if entry.file_name().to_str().is_some_and(|name| name.starts_with(&staged)) {
                        let _ = tokio::fs::remove_file(entry.path()).await;
                    }
                }
            }
        }
        self.remove(path).await
    }

    /// Removes all objects below a folder. Answers how many there were.
    ///
    /// # Errors
    /// As the storage says; what is left is there for the next call.
    pub async fn remove_below(&self, folder: &str) -> object_store::Result<usize> {
        let prefix = location(folder)?;
        let found = self.store.list(Some(&prefix)).map_ok(|meta| meta.location).boxed();
        self.store.delete_stream(found).try_fold(0, |count, _| async move { Ok(count + 1) }).await
    }

    /// Removes an object; it is no error when it is not there.
    ///
    /// # Errors
    /// As the storage says.
    pub async fn remove(&self, path: &str) -> object_store::Result<()> {
        match self.store.delete(&location(path)?).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Whether the storage answers.
    ///
    /// # Errors
    /// As the storage says.
    pub async fn check(&self) -> object_store::Result<()> {
        match self.info(".edgepack-health").await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other.map(drop),
        }
    }
}

async fn complete(upload: &mut dyn MultipartUpload, rest: Bytes) -> object_store::Result<object_store::PutResult> {
    if !rest.is_empty() {
        upload.put_part(rest.into()).await?;
    }
    upload.complete().await
}

/// Whether a write failed because there is no room.
pub fn is_full(error: &object_store::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        source = error.source();
    }
    false
}

fn location(path: &str) -> object_store::Result<object_store::path::Path> {
    Ok(object_store::path::Path::parse(path)?)
}

/// Weak tags cannot be used with If-Match, so they count as none.
pub(super) fn strong(etag: Option<String>) -> Option<String> {
    etag.filter(|tag| tag.starts_with('"') && tag.ends_with('"') && tag.len() >= 2)
}

fn percent_decoded(path: &str) -> Result<PathBuf> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let Some((digits, tail)) = rest.split_at_checked(2) else { bail!("{path} ends in the middle of an escape") };
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok().with_context(|| format!("{path} has a broken % escape"))?;
        bytes.push(byte[0]);
        rest = tail;
    }
    Ok(PathBuf::from(String::from_utf8(bytes).ok().with_context(|| format!("{path} is not UTF-8"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_urls_are_decoded() {
        assert_eq!(percent_decoded("/a%20b/%C3%BC").unwrap(), PathBuf::from("/a b/ü"));
        for bad in ["/a%2", "/a%", "/a%zz", "/%ff"] {
            assert!(percent_decoded(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_body_is_written_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(Some(directory.path().to_str().unwrap()), Path::new("unused")).unwrap();
        let chunk = Bytes::from(vec![7; DIRECTORY_PART_BYTES / 3]);
        for count in [0, 1, 3, 10] {
            let chunks = std::iter::repeat_n(chunk.clone(), count).map(Ok::<_, object_store::Error>);
            let info = storage.write_stream("a/b.ts", futures::stream::iter(chunks)).await.unwrap();
            assert_eq!(info, storage.info("a/b.ts").await.unwrap());
            assert_eq!(info.bytes, (chunk.len() * count) as u64);
        }
        let failed =
            || Err(object_store::Error::NotImplemented { operation: String::new(), implementer: String::new() });
        for count in [0, 1, 10] {
            let chunks = std::iter::repeat_n(chunk.clone(), count).map(Ok).chain([failed()]);
            assert!(storage.write_stream("a/c.ts", futures::stream::iter(chunks)).await.is_err());
        }
        let names: Vec<_> =
            std::fs::read_dir(directory.path().join("a")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["b.ts"]);
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let error = |kind| object_store::Error::Generic { store: "test", source: Box::new(std::io::Error::from(kind)) };
        assert!(is_full(&error(std::io::ErrorKind::StorageFull)));
        assert!(!is_full(&error(std::io::ErrorKind::PermissionDenied)));
    }

    #[test]
    fn locations_of_other_forms_are_refused() {
        for bad in ["ftp://x", "file://relative", "s3://", "s3:///x", "/does/not/exist"] {
            assert!(Storage::open(Some(bad), Path::new("unused")).is_err(), "{bad}");
        }
    }
}
