//! Users within the transaction: made, changed, never changed where nothing differs.

use std::sync::Arc;

use patchbay_core::{
    author::Author,
    changeset::{self, Update},
    clock::Timestamp,
    error::Error,
    icon::{Icon, IconType},
    id::{TenantId, UserId},
    revision::{Expect, Revision},
    user::{User, UserPatch},
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    fault::{Fault, is_taken},
    read::key,
    statements::{Sql, Statements},
};
use crate::store::row::{decode, encode};

/// Works a delta out on the record as it stands and writes the outcome, if there is one. Answers the user as he was, and
/// what became of him.
pub(super) fn update(
    statements: &mut Statements<'_>,
    tenant: TenantId,
    id: UserId,
    expect: &Expect,
    patch: &UserPatch,
    at: Timestamp,
    by: Option<&Arc<Author>>,
) -> Result<(User, Update), Fault> {
    let current = load(statements.conn, tenant, id)?;
    let update = changeset::update(current.as_ref(), expect, patch, at, by)?;
    let current = current.ok_or(Error::NotFound { what: "user" })?;
    if !update.changes.is_empty() {
        let document = encode(&update.user)?;
        let rekeyed =
            current.username_key() != update.user.username_key() || current.email_key() != update.user.email_key();
        let version = Version {
            from: current.revision,
            row: None,
            user: &update.user,
            document: &document,
        };
        if !write(statements, tenant, version, rekeyed)? {
            return Err(Error::internal("a user changed within the transaction that loaded him").into());
        }
        if update.user.icon != current.icon {
            put_icon(statements.conn, tenant, id, patch.icon.value())?;
        }
    }
    Ok((current, update))
}

/// Refuses a mail address that the user did not have before and another user has. Asked once he is written.
pub(super) fn check_email(
    conn: &Connection,
    tenant: TenantId,
    before: Option<&User>,
    user: &User,
) -> Result<(), Fault> {
    let Some(email) = user.email_key() else { return Ok(()) };
    if before.and_then(User::email_key).as_ref() == Some(&email) {
        return Ok(());
    }
    let mut statement = conn.prepare_cached("SELECT 1 FROM users WHERE tenant = ?1 AND email_key = ?2 AND id != ?3")?;
    if statement.exists((key(&tenant.0), email, key(&user.id.0)))? {
        return Err(Error::Taken { field: "email" }.into());
    }
    Ok(())
}

/// A user as he becomes, over one revision of him.
#[derive(Clone, Copy)]
pub(super) struct Version<'a> {
    /// The revision that he must be at.
    pub(super) from: Revision,
    /// The number of his row, if it is known.
    pub(super) row: Option<i64>,
    /// The user as he becomes.
    pub(super) user: &'a User,
    /// His document.
    pub(super) document: &'a [u8],
}

/// Writes a user over one revision of him; false if he is not at that revision, or not found by his row. Indexes are touched only if
/// he is `rekeyed`.
pub(super) fn write(
    statements: &mut Statements<'_>,
    tenant: TenantId,
    version: Version<'_>,
    rekeyed: bool,
) -> Result<bool, Fault> {
    if rekeyed {
        rekey(statements.conn, tenant, version)
    } else {
        Ok(replace(statements, tenant, version)?)
    }
}

/// Writes a user over one revision of him, indexes aside; false if he is not at that revision, or not in that row where its number is
/// given: rows have other numbers once somebody has compacted the database.
fn replace(
    statements: &mut Statements<'_>,
    tenant: TenantId,
    Version {
        from,
        row,
        user,
        document,
    }: Version<'_>,
) -> rusqlite::Result<bool> {
    let (tenant, id) = (key(&tenant.0), key(&user.id.0));
    let (from, to) = (from.0.cast_signed(), user.revision.0.cast_signed());
    let rows = match row {
        Some(row) => statements
            .of(Sql::UpdateRow)?
            .execute((tenant, id, from, to, document, row))?,
        None => statements
            .of(Sql::UpdateUser)?
            .execute((tenant, id, from, to, document))?,
    };
    Ok(rows == 1)
}

/// The same for a user who may now be looked up by another user name or mail address, which may be taken.
fn rekey(
    conn: &Connection,
    tenant: TenantId,
    Version {
        from, user, document, ..
    }: Version<'_>,
) -> Result<bool, Fault> {
    const SQL: &str = "UPDATE users SET revision = ?4, doc = ?5, username_key = ?6, email_key = ?7 \
        WHERE tenant = ?1 AND id = ?2 AND revision = ?3";
    let (from, to) = (from.0.cast_signed(), user.revision.0.cast_signed());
    let (username, email) = (user.username_key(), user.email_key());
    let rows = conn
        .prepare_cached(SQL)?
        .execute((key(&tenant.0), key(&user.id.0), from, to, document, username, email))
        .map_err(|error| taken(conn, tenant, user, error))?;
    Ok(rows == 1)
}

/// Keeps a new user.
pub(super) fn create(conn: &Connection, tenant: TenantId, user: &User) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO users (tenant, id, serial, username_key, email_key, revision, doc) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let written = conn.prepare_cached(SQL)?.execute((
        key(&tenant.0),
        key(&user.id.0),
        user.serial.0,
        user.username_key(),
        user.email_key(),
        user.revision.0.cast_signed(),
        encode(user)?,
    ));
    match written {
        Ok(_) => Ok(()),
        Err(error) if is_taken(&error) && load(conn, tenant, user.id)?.is_some() => {
            Err(Error::Taken { field: "id" }.into())
        }
        Err(error) => Err(taken(conn, tenant, user, error)),
    }
}

/// Keeps a picture, or with `None` takes it away.
pub(super) fn put_icon(conn: &Connection, tenant: TenantId, user: UserId, icon: Option<&Icon>) -> rusqlite::Result<()> {
    const PUT: &str = "INSERT INTO icons (tenant, user, media, digest, bytes) VALUES (?1, ?2, ?3, ?4, ?5) \
        ON CONFLICT (tenant, user) DO UPDATE SET media = excluded.media, digest = excluded.digest, bytes = excluded.bytes";
    let (tenant, user) = (key(&tenant.0), key(&user.0));
    match icon {
        Some(icon) => {
            let media = match icon.media {
                IconType::Png => "png",
                IconType::Jpeg => "jpeg",
            };
            conn.prepare_cached(PUT)?
                .execute((tenant, user, media, &icon.digest[..], &icon.bytes[..]))?
        }
        None => conn
            .prepare_cached("DELETE FROM icons WHERE tenant = ?1 AND user = ?2")?
            .execute((tenant, user))?,
    };
    Ok(())
}

fn load(conn: &Connection, tenant: TenantId, id: UserId) -> Result<Option<User>, Fault> {
    let mut statement = conn.prepare_cached("SELECT doc FROM users WHERE tenant = ?1 AND id = ?2")?;
    let user = statement.query_row((key(&tenant.0), key(&id.0)), |row| {
        Ok(decode(row.get_ref(0)?.as_blob()?))
    });
    Ok(user.optional()?.transpose()?)
}

/// What a row that was not written means: a refused unique index becomes the member's name.
fn taken(conn: &Connection, tenant: TenantId, user: &User, error: rusqlite::Error) -> Fault {
    if !is_taken(&error) {
        return error.into();
    }
    match taken_field(conn, tenant, user) {
        Ok(field) => Error::Taken { field }.into(),
        Err(error) => error.into(),
    }
}

/// The member that another user has already. Number comes before user name, so that the answer does not hang on the order in
/// which the database looks at its indexes.
fn taken_field(conn: &Connection, tenant: TenantId, user: &User) -> rusqlite::Result<&'static str> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM users WHERE tenant = ?1 AND serial = ?2 AND id != ?3")?;
    let serial = statement.exists((key(&tenant.0), user.serial.0, key(&user.id.0)))?;
    Ok(if serial { "serial" } else { "username" })
}
