//! What can go wrong inside the database: a refusal of the domain, or a failure of the machine.

use patchbay_core::error::Error;
use rusqlite::{ErrorCode, ffi};

/// Why a changeset was not written.
#[derive(Debug)]
pub(super) enum Fault {
    /// The domain refuses it: only this changeset is undone.
    Refused(Error),
    /// The database failed.
    Database(rusqlite::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Database(error) => failure(&error),
        }
    }
}

/// Seconds after which somebody may have made room on a full disk.
const ROOM: u32 = 60;

/// A failure of the database as callers are told it: another process that holds the database, or a disk that is full, passes; the
/// rest is for the log.
pub(super) fn failure(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy { retry_after: 1 },
        Some(ErrorCode::DiskFull) => Error::Busy { retry_after: ROOM },
        _ => Error::internal(format!("sqlite: {error}")),
    }
}

/// True if a unique index or primary key refused the row.
pub(super) fn is_taken(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::SqliteFailure(
            ffi::Error {
                extended_code: ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
                ..
            },
            _
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_with_a_time_to_come_again() {
        let told = |code| failure(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for (code, seconds) in [(ffi::SQLITE_BUSY, 1), (ffi::SQLITE_LOCKED, 1), (ffi::SQLITE_FULL, ROOM)] {
            let error = told(code);
            assert!(
                matches!(error, Error::Busy { retry_after } if retry_after == seconds),
                "{error:?}"
            );
        }
        assert!(matches!(told(ffi::SQLITE_CORRUPT), Error::Internal { .. }));
    }
}
