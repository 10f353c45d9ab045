//! Turns: the writes to one remote user go one after the other.
//!
//! No vendor compares a condition inside the write, so of two writes that both read a user before they are sent, the second would not see
//! what the first did. Whoever comes first is served first. It holds within this process, for one spelling of the user's id: other
//! writers at the vendor are not seen.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

use crate::id::{LinkedAccountId, TenantId};

/// A remote user: whose linked account, which, and the id there.
pub(super) type Name = (TenantId, LinkedAccountId, String);

/// The queues of all remote users to whom something is being written.
#[derive(Default)]
pub(crate) struct Turns {
    queues: Mutex<HashMap<Name, Arc<Queue<()>>>>,
}

impl Turns {
    /// Waits for one's turn, which lasts until what is answered is dropped.
    pub(super) async fn take(self: Arc<Self>, name: Name) -> Turn {
        let queue = self.queues().entry(name.clone()).or_default().clone();
        let place = Place {
            turns: self,
            name,
            queue: queue.clone(),
        };
        Turn {
            _held: queue.lock_owned().await,
            _place: place,
        }
    }

    /// The map is whole at any time, so a panic elsewhere does not spoil it.
    fn queues(&self) -> MutexGuard<'_, HashMap<Name, Arc<Queue<()>>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn. Fields are dropped in order: the next one goes on before it is looked whether there is one.
pub(super) struct Turn {
    _held: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in a queue, which goes away with the last one in it.
struct Place {
    turns: Arc<Turns>,
    name: Name,
    queue: Arc<Queue<()>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        // Who comes takes a copy under the same lock: one is in the map, and one is ours.
        if Arc::strong_count(&self.queue) <= 2 {
            queues.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Waker},
    };

    use uuid::Uuid;

    use super::*;

    fn name(user: &str) -> Name {
        (TenantId(Uuid::nil()), LinkedAccountId("a".into()), user.to_owned())
    }

    #[test]
    fn one_user_has_one_turn_at_a_time_and_nothing_is_left() {
        let turns = Arc::new(Turns::default());
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(turns.clone().take(name("han")));
        let std::task::Poll::Ready(turn) = first.as_mut().poll(&mut context) else {
            panic!("nobody is before the first")
        };
        let mut other = pin!(turns.clone().take(name("leia")));
        assert!(other.as_mut().poll(&mut context).is_ready());
        {
            let mut second = Box::pin(turns.clone().take(name("han")));
            let mut third = pin!(turns.clone().take(name("han")));
            assert!(second.as_mut().poll(&mut context).is_pending());
            assert!(third.as_mut().poll(&mut context).is_pending());
            drop(turn);
            assert!(
                third.as_mut().poll(&mut context).is_pending(),
                "the second is before him"
            );
            drop(second);
            assert!(
                third.as_mut().poll(&mut context).is_ready(),
                "who gave up is not waited for"
            );
        }
        assert!(turns.queues().is_empty());
    }
}
