//! The machine's clock and random source, and the runtime: the only places where the time of day and chance are read.
//!
//! How long something takes, and until when it may, is measured where it is done, with an `Instant`: it tells no time of day and
//! no record holds it.

use std::time::Duration;

use async_trait::async_trait;
use patchbay_core::{
    clock::{Clock, Timestamp},
    gateway::Entropy,
    host::Host,
};
use rand::RngCore;
use uuid::Uuid;

/// The machine's clock, in whole milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that everything else is handed"
        )]
        let now = jiff::Timestamp::now();
        Timestamp::from_millis(now.as_millisecond())
    }
}

/// The machine's random source: a generator per thread, seeded by the operating system and fit for keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl SystemEntropy {
    /// That many random bytes.
    pub fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the source that everything else is handed"
        )]
        let mut source = rand::rng();
        source.fill_bytes(&mut bytes);
        bytes
    }
}

impl Entropy for SystemEntropy {
    fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }
}

/// The runtime's timer, and the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemHost;

#[async_trait]
impl Host for SystemHost {
    async fn pause(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    fn report(&self, fault: &str) {
        tracing::error!(fault, "a fault that no answer tells of");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let (one, other) = (SystemEntropy.uuid(), SystemEntropy.uuid());
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 4);
    }

    #[test]
    fn time_passes() {
        let before = SystemClock.now();
        assert!(before > Timestamp::from_millis(1_700_000_000_000));
        assert!(SystemClock.now() >= before);
    }
}
