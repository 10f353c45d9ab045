//! Remote writes that an earlier run left open: settled beside the listener, by a read of the user each.

use futures_util::{StreamExt, stream};
use patchbay_core::gateway::OpenWrites;

use crate::app::App;

/// How many linked accounts are asked at a time. Each has its writes settled one after the other, so that one that does not
/// answer holds up itself alone, a provider gets one call at a time, and a user's writes keep their order.
const ACCOUNTS_AT_ONCE: usize = 64;

/// Settles open writes, as [`Gateway::open_writes`](patchbay_core::gateway::Gateway::open_writes) listed them.
pub async fn settle(app: &App, open: Vec<OpenWrites>) {
    stream::iter(open)
        .for_each_concurrent(ACCOUNTS_AT_ONCE, |writes| settle_account(app, writes))
        .await;
}

async fn settle_account(app: &App, OpenWrites { tenant, ids }: OpenWrites) {
    for id in ids {
        match app.gateway.settle(tenant, id, app.clock.now()).await {
            Ok(true) => tracing::info!(write = %id, "looked into a remote write that was left open"),
            Ok(false) => {}
            Err(error) => tracing::error!(write = %id, fault = error.for_log(), "a remote write stays open"),
        }
    }
}
