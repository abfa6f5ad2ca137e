//! `spin:variables@3.0.0`: the settings of the edge. Some are secrets, so nothing here prints a value.

use crate::bindings::variables::{self, Error};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::component::{Accessor, HasData};

/// Names and values, fixed for the life of a host.
#[derive(Clone)]
pub(crate) struct Variables(Arc<BTreeMap<String, String>>);

impl Variables {
    pub(crate) fn new(values: BTreeMap<String, String>) -> Self {
        Self(Arc::new(values))
    }

    /// Names as Spin takes them: a lower-case letter first, then lower-case letters, digits and single underscores.
    fn get(&self, name: &str) -> Result<String, Error> {
        let legal = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !name.contains("__")
            && !name.ends_with('_');
        if !legal {
            return Err(Error::InvalidName(name.to_owned()));
        }
        self.0.get(name).cloned().ok_or_else(|| Error::Undefined(name.to_owned()))
    }
}

/// Names [`Variables`] as the data of the interface.
pub(crate) struct Interface;

impl HasData for Interface {
    type Data<'a> = &'a mut Variables;
}

impl variables::Host for Variables {}

impl<T: 'static + Send> variables::HostWithStore<T> for Interface {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(accessor.with(|mut access| access.get().get(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_missing_from_illegal_names() {
        let variables = Variables::new(BTreeMap::from([("edge_name".into(), "one".into())]));
        assert_eq!(variables.get("edge_name").unwrap(), "one");
        assert!(matches!(variables.get("edge"), Err(Error::Undefined(name)) if name == "edge"));
        for name in ["", "Edge", "1st", "a__b", "a_", "a-b"] {
            assert!(matches!(variables.get(name), Err(Error::InvalidName(_))), "{name}");
        }
    }
}
