//! `spin:key-value@3.0.0`: one store, label `default`, in memory, shared by all instances of a host.

use crate::bindings::key_value::{self, Error};
use crate::limits::{KV_MAX_BYTES, KV_MAX_ENTRIES, KV_MAX_KEY_BYTES, KV_MAX_OPEN, KV_MAX_VALUE_BYTES};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use wasmtime::component::{Accessor, FutureReader, HasData, Resource, ResourceTable, StreamReader};

/// The one label there is.
const LABEL: &str = "default";

/// The entries. Values are shared, so that reading one under the lock copies nothing.
#[derive(Default)]
pub(crate) struct KeyValue(RwLock<Entries>);

#[derive(Default)]
struct Entries {
    map: BTreeMap<String, Arc<[u8]>>,
    bytes: usize,
}

impl KeyValue {
    fn get(&self, key: &str) -> Option<Arc<[u8]>> {
        self.read(|entries| entries.map.get(key).cloned())
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        if key.len() > KV_MAX_KEY_BYTES {
            return Err(Error::Other(format!("a key of {} bytes; the limit is {KV_MAX_KEY_BYTES}", key.len())));
        }
        if value.len() > KV_MAX_VALUE_BYTES {
            return Err(Error::Other(format!("a value of {} bytes; the limit is {KV_MAX_VALUE_BYTES}", value.len())));
        }
        self.write(|entries| {
            let old = entries.map.get(&key).map(|old| key.len() + old.len());
            if old.is_none() && entries.map.len() >= KV_MAX_ENTRIES {
                return Err(Error::Other(format!("the store holds its limit of {KV_MAX_ENTRIES} keys")));
            }
            let bytes = entries.bytes - old.unwrap_or(0) + key.len() + value.len();
            if bytes > KV_MAX_BYTES {
                return Err(Error::Other(format!("the store would hold {bytes} bytes; the limit is {KV_MAX_BYTES}")));
            }
            entries.bytes = bytes;
            entries.map.insert(key, value.into());
            Ok(())
        })
    }

    fn delete(&self, key: &str) {
        self.write(|entries| {
            if let Some(old) = entries.map.remove(key) {
                entries.bytes -= key.len() + old.len();
            }
        });
    }

    fn keys(&self) -> Vec<String> {
        self.read(|entries| entries.map.keys().cloned().collect())
    }

    /// Keys and bytes held.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.read(|entries| (entries.map.len(), entries.bytes))
    }

    fn read<R>(&self, f: impl FnOnce(&Entries) -> R) -> R {
        f(&self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn write<R>(&self, f: impl FnOnce(&mut Entries) -> R) -> R {
        f(&mut self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// A store that a guest has opened.
pub struct OpenStore(Arc<KeyValue>);

/// What the interface needs of an instance.
pub(crate) struct View<'a> {
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) store: &'a Arc<KeyValue>,
    pub(crate) open: &'a mut usize,
}

/// Names [`View`] as the data of the interface.
pub(crate) struct Interface;

impl HasData for Interface {
    type Data<'a> = View<'a>;
}

fn opened<T: 'static>(
    accessor: &Accessor<T, Interface>,
    handle: &Resource<OpenStore>,
) -> wasmtime::Result<Arc<KeyValue>> {
    accessor.with(|mut access| Ok(access.get().table.get(handle)?.0.clone()))
}

impl key_value::Host for View<'_> {}

impl key_value::HostStore for View<'_> {
    fn drop(&mut self, handle: Resource<OpenStore>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        *self.open = self.open.saturating_sub(1);
        Ok(())
    }
}

impl<T: 'static + Send> key_value::HostStoreWithStore<T> for Interface {
    async fn open(accessor: &Accessor<T, Self>, label: String) -> wasmtime::Result<Result<Resource<OpenStore>, Error>> {
        if label != LABEL {
            return Ok(Err(Error::NoSuchStore));
        }
        accessor.with(|mut access| {
            let view = access.get();
            if *view.open >= KV_MAX_OPEN {
                return Ok(Err(Error::StoreTableFull));
            }
            let handle = view.table.push(OpenStore(view.store.clone()))?;
            *view.open += 1;
            Ok(Ok(handle))
        })
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(Ok(opened(accessor, &handle)?.get(&key).map(|value| value.to_vec())))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(opened(accessor, &handle)?.set(key, value))
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        opened(accessor, &handle)?.delete(&key);
        Ok(Ok(()))
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        Ok(Ok(opened(accessor, &handle)?.get(&key).is_some()))
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        handle: Resource<OpenStore>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let keys = opened(accessor, &handle)?.keys();
        accessor.with(|mut access| {
            let end = FutureReader::new(&mut access, async { wasmtime::error::Ok(Ok(())) })?;
            Ok((StreamReader::new(&mut access, keys)?, end))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_bytes_through_replacement_and_deletion() {
        let store = KeyValue::default();
        store.set("key".into(), vec![0; 10]).unwrap();
        store.set("key".into(), vec![0; 4]).unwrap();
        store.set("other".into(), vec![1]).unwrap();
        assert_eq!(store.size(), (2, 3 + 4 + 5 + 1));
        assert_eq!(store.keys(), ["key", "other"]);
        store.delete("key");
        store.delete("never there");
        assert_eq!(store.size(), (1, 6));
        assert_eq!(store.get("other").as_deref(), Some(&[1][..]));
        assert_eq!(store.get("key"), None);
    }

    #[test]
    fn refuses_what_is_over_a_limit_and_keeps_what_it_had() {
        let store = KeyValue::default();
        store.set("key".into(), vec![7]).unwrap();
        assert!(matches!(store.set("key".into(), vec![0; KV_MAX_VALUE_BYTES + 1]), Err(Error::Other(_))));
        assert!(matches!(store.set("k".repeat(KV_MAX_KEY_BYTES + 1), vec![]), Err(Error::Other(_))));
        assert_eq!(store.get("key").as_deref(), Some(&[7][..]));
        let fits = KV_MAX_BYTES / KV_MAX_VALUE_BYTES - 1;
        for i in 0..fits {
            store.set(format!("{i:08}"), vec![0; KV_MAX_VALUE_BYTES]).unwrap();
        }
        assert!(matches!(store.set("last".into(), vec![0; KV_MAX_VALUE_BYTES]), Err(Error::Other(_))));
        assert_eq!(store.size().0, fits + 1);
    }
}
