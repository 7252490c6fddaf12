//! Many callers at once, and who of them has been served.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

/// Callers, by number, each of which is served once.
#[derive(Debug)]
pub struct Callers {
    tasks: JoinSet<()>,
    served: Arc<Mutex<Vec<usize>>>,
}

impl Callers {
    /// Lets so many call, all at once: each is served when its future ends.
    pub fn of<C, F>(count: usize, call: C) -> Self
    where
        C: Fn(usize) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for caller in 0..count {
            let (call, served) = (call(caller), Arc::clone(&served));
            tasks.spawn(async move {
                call.await;
                lock(&served).push(caller);
            });
        }
        Self { tasks, served }
    }

    /// Who has been served until now.
    pub fn served(&self) -> Vec<usize> {
        lock(&self.served).clone()
    }

    /// Waits until all have been served.
    ///
    /// # Panics
    ///
    /// When one of them does, or is not served within `patience`.
    pub async fn are_all_served(self, patience: Duration) {
        let served = timeout(patience, self.tasks.join_all()).await;
        served.expect("somebody is never served");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
