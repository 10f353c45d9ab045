//! What every target asks of what its decoder made.

use patchbay_core::{
    clock::Timestamp,
    id::{Serial, UserId},
    user::{User, UserPatch},
};
use uuid::Uuid;

/// Applies a decoded delta. It may be refused; if it is not, applying it again changes nothing, and the record reads back
/// as it was written.
pub fn apply(patch: &UserPatch) {
    let user = User::new(UserId(Uuid::nil()), Serial(1), Timestamp::from_millis(0));
    let Ok(applied) = user.apply(patch) else { return };
    let again = applied.user.apply(patch).expect("what was applied once applies again");
    assert_eq!(again.changes, []);
    let kept = serde_json::to_vec(&applied.user).expect("a user encodes");
    let read: User = serde_json::from_slice(&kept).expect("a kept user reads again");
    assert_eq!(read, applied.user);
}
