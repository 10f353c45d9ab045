-- Every primary key begins with the tenant. A record is one document (see store/row.rs); a column beside it is there
-- because something is looked up, ordered or made unique by it.

CREATE TABLE tenants (
    tenant BLOB NOT NULL,
    doc    BLOB NOT NULL,
    PRIMARY KEY (tenant)
) STRICT;

CREATE TABLE users (
    tenant       BLOB    NOT NULL,
    id           BLOB    NOT NULL,
    serial       INTEGER NOT NULL,
    username_key TEXT,
    email_key    TEXT,
    role         BLOB,
    revision     INTEGER NOT NULL,
    doc          BLOB    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX users_serial ON users (tenant, serial);
CREATE UNIQUE INDEX users_username ON users (tenant, username_key) WHERE username_key IS NOT NULL;
CREATE INDEX users_email ON users (tenant, email_key) WHERE email_key IS NOT NULL;

CREATE TABLE icons (
    tenant BLOB NOT NULL,
    user   BLOB NOT NULL,
    media  TEXT NOT NULL,
    digest BLOB NOT NULL,
    bytes  BLOB NOT NULL,
    PRIMARY KEY (tenant, user)
) STRICT;

CREATE TABLE roles (
    tenant BLOB NOT NULL,
    id     BLOB NOT NULL,
    doc    BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

CREATE TABLE organizations (
    tenant BLOB    NOT NULL,
    id     BLOB    NOT NULL,
    serial INTEGER NOT NULL,
    doc    BLOB    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX organizations_serial ON organizations (tenant, serial);

CREATE TABLE groups (
    tenant BLOB    NOT NULL,
    id     BLOB    NOT NULL,
    serial INTEGER NOT NULL,
    doc    BLOB    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX groups_serial ON groups (tenant, serial);

-- A credential stands for a user, whose role decides, or for a service with a role of its own.
CREATE TABLE credentials (
    tenant BLOB NOT NULL,
    id     BLOB NOT NULL,
    hash   BLOB NOT NULL,
    user   BLOB,
    role   BLOB,
    doc    BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
-- The one look-up that does not know the tenant: a credential is what names it.
CREATE UNIQUE INDEX credentials_hash ON credentials (hash);

CREATE TABLE linked_accounts (
    tenant BLOB NOT NULL,
    id     TEXT NOT NULL,
    doc    BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

CREATE TABLE ledger (
    tenant BLOB NOT NULL,
    id     BLOB NOT NULL,
    doc    BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

-- Written once per change and read in order: one tree, no index beside it.
CREATE TABLE audit (
    tenant   BLOB    NOT NULL,
    position INTEGER NOT NULL,
    entry    BLOB    NOT NULL,
    hash     BLOB    NOT NULL,
    PRIMARY KEY (tenant, position)
) STRICT, WITHOUT ROWID;

-- Where each chain ends.
CREATE TABLE audit_head (
    tenant   BLOB    NOT NULL,
    position INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    PRIMARY KEY (tenant)
) STRICT, WITHOUT ROWID;

-- "done" is 0 until the request has an outcome; then "outcome" is the user as it left him, if it concerned one.
CREATE TABLE idempotency (
    tenant      BLOB    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    at          INTEGER NOT NULL,
    done        INTEGER NOT NULL,
    outcome     BLOB,
    PRIMARY KEY (tenant, key)
) STRICT;
CREATE INDEX idempotency_age ON idempotency (tenant, at);
