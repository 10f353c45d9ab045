//! The port to whatever runs the core: it waits and it logs. The core itself has no timer and no log.

use async_trait::async_trait;

/// What runs the core.
#[async_trait]
pub trait Host: Send + Sync {
    /// Waits that many milliseconds.
    async fn pause(&self, millis: u64);

    /// Logs a fault that no answer tells of.
    fn report(&self, fault: &str);
}
