//! The machine's clock and random source: the only places where either is read.

use patchbay_core::{
    clock::{Clock, Timestamp},
    gateway::Entropy,
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
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }
}

impl Entropy for SystemEntropy {
    fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
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
