//! How many callers there are at once, the writer's wait for two fifths of them, and that no batch takes more than half.
//!
//! What a batch costs is mostly the same for few changesets as for many. While one half of the callers waits for a batch, the
//! other half's changesets come about; a batch that begins as soon as the first of them is there would have few of them and
//! leave the rest to another batch. One that took them all would leave nobody to make use of the processors while it is synced, and
//! the next would take them all again. How many callers there are shows when a batch is done: those in it, and those who wait by then.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// So few callers are not waited for.
const FEW: usize = 8;
/// After so many batches it is looked at anew how many callers there are.
const WINDOW: u32 = 256;

/// What has gathered, as callers and the writer see it.
#[derive(Default)]
pub(super) struct Gathering {
    /// Changesets that are queued, or about to be.
    waiting: AtomicUsize,
    /// As many wake the writer; 0 if he does not wait.
    enough: AtomicUsize,
    writer: OnceLock<Thread>,
}

impl Gathering {
    /// A caller is about to queue a changeset; answers how many there are with his.
    pub(super) fn come(&self) -> usize {
        self.waiting.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// It is queued, as the `number`th.
    pub(super) fn queued(&self, number: usize) {
        if number == self.enough.load(Ordering::SeqCst)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    /// So many are taken, or could not be queued.
    pub(super) fn gone(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::SeqCst);
    }

    /// Waits on the writer's thread until so many are there, but not longer than that. False if they did not come.
    fn wait(&self, enough: usize, longest: Duration) -> bool {
        self.writer.get_or_init(thread::current);
        self.enough.store(enough, Ordering::SeqCst);
        let begun = Instant::now();
        let mut left = longest;
        while self.waiting.load(Ordering::SeqCst) < enough && !left.is_zero() {
            // It may return early, for instance because of a caller who came before.
            thread::park_timeout(left);
            left = longest.saturating_sub(begun.elapsed());
        }
        self.enough.store(0, Ordering::SeqCst);
        self.waiting.load(Ordering::SeqCst) >= enough
    }
}

/// The writer's idea of how many callers there are.
pub(super) struct Crowd {
    longest: Duration,
    most: usize,
    size: usize,
    /// The most that have shown in this window, and how many batches it has had.
    recent: (usize, u32),
    alone: bool,
}

impl Crowd {
    /// Nobody yet; the writer never waits longer than that, nor for more than `most`.
    pub(super) fn new(longest: Duration, most: usize) -> Self {
        Self {
            longest,
            most,
            size: 0,
            recent: (0, 0),
            alone: false,
        }
    }

    /// Waits for two fifths of them, if they are many; answers how many a batch may take.
    pub(super) fn gather(&mut self, gathering: &Gathering) -> usize {
        if self.size < FEW {
            self.alone = false;
            return self.most;
        }
        self.alone = !gathering.wait(self.most.min(self.size * 2 / 5), self.longest);
        self.most.min(self.size / 2)
    }

    /// A batch of so many is done, but not yet answered for long. More callers than were thought show at once. Fewer show when
    /// they are waited for in vain; else a window passes, since not all show every time.
    pub(super) fn done(&mut self, batch: usize, gathering: &Gathering) {
        let shown = batch + gathering.waiting.load(Ordering::SeqCst);
        let (most, batches) = self.recent;
        let most = most.max(shown);
        self.recent = (most, batches + 1);
        if self.alone {
            (self.size, self.recent) = (shown, (shown, 0));
        } else if batches + 1 == WINDOW {
            (self.size, self.recent) = (most, (0, 0));
        } else {
            self.size = self.size.max(shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_few_are_not_waited_for_and_taken_together() {
        let mut crowd = Crowd::new(LONG, 256);
        let gathering = Gathering::default();
        for batch in [1, 3, 7, 3, 1, 1] {
            assert_eq!(crowd.gather(&gathering), 256);
            crowd.done(batch, &gathering);
        }
    }

    #[test]
    fn the_writer_goes_on_when_two_fifths_of_many_are_there_and_takes_half() {
        let gathering = Arc::new(Gathering::default());
        let mut crowd = Crowd::new(LONG, 256);
        crowd.done(16, &gathering);
        let callers = gathering.clone();
        let came = thread::spawn(move || {
            for _ in 0..6 {
                let number = callers.come();
                callers.queued(number);
            }
        });
        assert_eq!(crowd.gather(&gathering), 8);
        came.join().unwrap();
        assert!(!crowd.alone);
        gathering.gone(6);
        assert_eq!(gathering.come(), 1);
        crowd.done(40, &gathering);
        assert_eq!(crowd.size, 41, "more show at once");
        for _ in 0..2 * WINDOW {
            assert!(crowd.size >= 9);
            crowd.done(8, &gathering);
        }
        assert_eq!(crowd.size, 9, "and fewer after a while");
    }

    #[test]
    fn no_more_are_waited_for_or_taken_than_a_batch_may_have() {
        let gathering = Gathering::default();
        let mut crowd = Crowd::new(LONG, 2);
        crowd.done(100, &gathering);
        gathering.come();
        gathering.come();
        assert_eq!(crowd.gather(&gathering), 2);
        assert!(!crowd.alone);
    }

    #[test]
    fn those_who_do_not_come_are_not_waited_for_again() {
        let mut crowd = Crowd::new(Duration::from_millis(1), 256);
        let gathering = Gathering::default();
        crowd.done(30, &gathering);
        gathering.queued(gathering.come());
        crowd.gather(&gathering);
        assert!(crowd.alone);
        gathering.gone(1);
        crowd.done(1, &gathering);
        assert_eq!(crowd.size, 1);
    }
}
