//! A place for objects: a local directory or a bucket.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutPayload};

/// A place for objects, addressed by paths that pass [`packager::config::is_storage_path`].
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    description: String,
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
        Ok(Self { store: Arc::new(store), description: path.display().to_string() })
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
        Ok(Self { store, description: location.to_owned() })
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

    #[test]
    fn locations_of_other_forms_are_refused() {
        for bad in ["ftp://x", "file://relative", "s3://", "s3:///x", "/does/not/exist"] {
            assert!(Storage::open(Some(bad), Path::new("unused")).is_err(), "{bad}");
        }
    }
}
