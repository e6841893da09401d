//! A registry holds the families of one or several namespaces; a scrape reads one registry. Isolated ones are for tests and for
//! several pipelines in one process; the default one is where `PrometheusMetrics` and the server meet by default.
//!
//! Not the crate `prometheus-client`: what a family is, which label values it has and what its help says stands in one table here, from
//! which pages, rules and dashboards come too; there, families are made where they are used.

use crate::label::is_metric_name;
use crate::process;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::table::METRICS;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// A handle on a registry; clones are the same registry.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stores: Mutex<Vec<Arc<Store>>>,
    process: bool,
}

/// Why metrics cannot be made or fed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Not a prefix of a metric name.
    #[error("namespace {0:?} is not a metric name; use letters, digits and underscores, not a digit first")]
    Namespace(String),
    /// Two namespaces would give one name to two families.
    #[error(
        "namespace {namespace:?} would register {name} twice in this registry; use another namespace or another registry"
    )]
    Clash {
        /// The namespace asked for.
        namespace: String,
        /// The name that is taken.
        name: String,
    },
    /// A value that would spoil a counter or histogram.
    #[error("{what} must be a finite number, 0 or more, not {value}")]
    Value {
        /// What was measured.
        what: &'static str,
        /// The value.
        value: f64,
    },
}

/// The registry that is meant when none is given. It has the `process_*` families too.
pub fn default_registry() -> &'static Registry {
    static DEFAULT: OnceLock<Registry> = OnceLock::new();
    DEFAULT.get_or_init(|| Registry::new().with_process())
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty registry of its own.
    pub fn new() -> Self {
        Self { inner: Arc::new(Inner { stores: Mutex::default(), process: false }) }
    }

    /// An empty registry that also has the `process_*` families (Linux). Take it for the one registry that a server of
    /// this process shows, unless something else there exports them.
    #[must_use]
    pub fn with_process(self) -> Self {
        let stores = self.stores().clone();
        Self { inner: Arc::new(Inner { stores: Mutex::new(stores), process: true }) }
    }

    /// Every family that has a sample, read now. Counters only grow from one snapshot to the next, and each histogram's
    /// count is that of its last bucket. Takes no lock that counting takes.
    pub fn snapshot(&self) -> Snapshot {
        let stores = self.stores().clone();
        let mut families = vec![];
        for store in stores {
            store.snapshot(&mut families);
        }
        if self.inner.process {
            process::families(&mut families);
        }
        Snapshot { families }
    }

    /// Whether both handles are on one registry.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The cells of a namespace, made at the first call.
    pub(crate) fn store(&self, namespace: &str) -> Result<Arc<Store>, MetricsError> {
        if !namespace.is_empty() && !is_metric_name(namespace) {
            return Err(MetricsError::Namespace(namespace.to_owned()));
        }
        let mut stores = self.stores();
        if let Some(store) = stores.iter().find(|s| s.namespace() == namespace) {
            return Ok(Arc::clone(store));
        }
        let taken = |name: &String| {
            stores.iter().any(|s| METRICS.iter().any(|m| m.full_name(s.namespace()) == *name))
                || METRICS.iter().any(|m| m.name.starts_with("process_") && m.name == name)
        };
        let own = METRICS.iter().filter(|m| !m.name.starts_with("process_"));
        if let Some(name) = own.map(|m| m.full_name(namespace)).find(taken) {
            return Err(MetricsError::Clash { namespace: namespace.to_owned(), name });
        }
        let store = Arc::new(Store::new(namespace));
        stores.push(Arc::clone(&store));
        Ok(store)
    }

    /// Runs `f` on every namespace: the server counts its answers there.
    /// Counts a failure of families that live elsewhere and are shown beside these.
    pub fn foreign_failed(&self) {
        self.each(|s| s.add(crate::Id::SinkErrors, &[], 1));
    }

    pub(crate) fn each(&self, f: impl Fn(&Store)) {
        for store in self.stores().iter() {
            f(store);
        }
    }

    fn stores(&self) -> MutexGuard<'_, Vec<Arc<Store>>> {
        self.inner.stores.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_made_once_and_registries_are_isolated() {
        let (a, b) = (Registry::new(), Registry::new());
        assert!(Arc::ptr_eq(&a.store("jj").unwrap(), &a.clone().store("jj").unwrap()));
        assert!(b.snapshot().families.is_empty());
        assert!(a.is_same(&a.clone()) && !a.is_same(&b));
    }

    #[test]
    fn bad_and_clashing_namespaces_are_refused() {
        let r = Registry::new();
        for bad in ["9a", "a-b", "a b", "ä", "a{"] {
            assert_eq!(r.store(bad).map(|_| ()), Err(MetricsError::Namespace(bad.to_owned())));
        }
        r.store("x").unwrap();
        r.store("").unwrap();
        r.store("y:z_9").unwrap();
        // `output` + `errors_total` is the name of another family of the namespace "".
        assert!(matches!(r.store("output"), Err(MetricsError::Clash { .. })));
    }
}
