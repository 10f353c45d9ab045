//! Work that is finished once it has begun, whoever waits for it.
//!
//! A request's work runs in the task of its connection, which is dropped when the caller hangs up or the time is over.
//! What is half done then, such as a call to a remote system whose outcome is to be recorded, goes on in a task of its own.
//! In the usual case, where the caller waits, there is no other task and nothing is handed over.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// A piece of work that is finished even if it is dropped, provided that it has begun.
///
/// A server that stops waits for it: the tracker counts it from the start to the end.
pub struct Completion<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    begun: bool,
    tasks: TaskTracker,
    _counted: TaskTrackerToken,
}

impl<T: Send + 'static> Completion<T> {
    /// Work that has not begun; it does when it is first polled.
    pub fn new(tasks: &TaskTracker, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            begun: false,
            tasks: tasks.clone(),
            _counted: tasks.token(),
        }
    }
}

impl<T: Send + 'static> Future for Completion<T> {
    type Output = T;

    /// Must not be polled again after it is ready; then it waits forever.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.begun = true;
        // Work that panics is not put back, so it is not begun anew by the drop.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Completion<T> {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and there is nobody left to finish anything.
        if let (Some(work), true, Ok(runtime)) = (self.work.take(), self.begun, Handle::try_current()) {
            self.tasks.spawn_on(work, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn what_has_begun_is_finished_when_nobody_waits() {
        let (tasks, go, done) = (
            TaskTracker::new(),
            Arc::new(Notify::new()),
            Arc::new(AtomicBool::new(false)),
        );
        let work = {
            let (go, done) = (go.clone(), done.clone());
            async move {
                go.notified().await;
                done.store(true, Ordering::Relaxed);
            }
        };
        let waited = tokio::time::timeout(Duration::from_millis(1), Completion::new(&tasks, work)).await;
        assert!(waited.is_err(), "the caller hung up");
        tasks.close();
        assert_eq!(tasks.len(), 1, "it is counted");
        go.notify_one();
        tasks.wait().await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn what_has_not_begun_or_has_ended_is_not_counted() {
        let tasks = TaskTracker::new();
        drop(Completion::new(&tasks, async { panic!("it never begins") }));
        assert_eq!(Completion::new(&tasks, async { 7 }).await, 7);
        assert!(tasks.is_empty());
    }
}
