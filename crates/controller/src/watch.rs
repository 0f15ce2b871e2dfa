//! Kubernetes' objects of one kind, followed as they change: listed once, then watched, with waits between failures.

use std::{collections::BTreeMap, fmt::Debug, pin::pin};

use futures_util::StreamExt as _;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// More nodes or pods than Kubernetes supports in one cluster for us (5000 nodes), some 500 bytes each: 10 MB. Those beyond are passed over.
const OBJECTS_MAX: usize = 20_000;

/// By name.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    pub(crate) objects: BTreeMap<String, T>,
    /// All have been listed once: before that, absence means nothing.
    pub(crate) is_complete: bool,
}

/// Where what is not watched would be: nothing, and that is all of it.
pub(crate) fn nothing<T>() -> watch::Receiver<Table<T>> {
    let (_, table) = watch::channel(Table {
        objects: BTreeMap::new(),
        is_complete: true,
    });
    table
}

/// Keeps what `T` keeps of each, until `stop` or until nobody looks.
pub(crate) fn follow<K, T>(
    api: Api<K>,
    config: watcher::Config,
    what: &'static str,
    stop: CancellationToken,
) -> watch::Receiver<Table<T>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    T: From<K> + PartialEq + Send + Sync + 'static,
{
    let (sender, table) = watch::channel(Table {
        objects: BTreeMap::new(),
        is_complete: false,
    });
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let mut events = pin!(watcher(api, config).default_backoff());
        let (mut listed, mut is_failing) = (BTreeMap::new(), false);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if std::mem::take(&mut is_failing) {
                        info!("Kubernetes is heard again: {what}");
                    }
                    apply(&sender, &mut listed, event);
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(%error, "Kubernetes is not heard, trying again: {what}; what is known stays");
                    }
                }
            }
            if sender.is_closed() {
                return;
            }
        }
    }));
    table
}

fn apply<K, T>(table: &watch::Sender<Table<T>>, listed: &mut BTreeMap<String, T>, event: Event<K>)
where
    K: Resource,
    T: From<K> + PartialEq,
{
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(object) => {
            insert(listed, object);
        }
        Event::InitDone => {
            let listed = std::mem::take(listed);
            table.send_if_modified(|table| {
                let is_same = table.is_complete && table.objects == listed;
                table.objects = listed;
                table.is_complete = true;
                !is_same
            });
        }
        Event::Apply(object) => {
            table.send_if_modified(|table| insert(&mut table.objects, object));
        }
        Event::Delete(object) => {
            let name = object.name_any();
            table.send_if_modified(|table| table.objects.remove(&name).is_some());
        }
    }
}

/// Whether that changes anything.
fn insert<K: Resource, T: From<K> + PartialEq>(objects: &mut BTreeMap<String, T>, object: K) -> bool {
    let name = object.name_any();
    if objects.len() >= OBJECTS_MAX && !objects.contains_key(&name) {
        return false;
    }
    let object = T::from(object);
    if objects.get(&name) == Some(&object) {
        return false;
    }
    objects.insert(name, object);
    true
}
