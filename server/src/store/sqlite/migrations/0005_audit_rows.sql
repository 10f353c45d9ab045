-- The audit entries of one batch stand together in one row, a line each: the hash in hexadecimal, a space, the entry. A row's
-- place is its tenant's chain number times 2^44 and the position of its last entry, so that a chain is one run of rows and needs
-- no index.

CREATE TABLE chain_ends (
    tenant   BLOB    NOT NULL,
    chain    INTEGER NOT NULL UNIQUE,
    position INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    PRIMARY KEY (tenant)
) STRICT, WITHOUT ROWID;
-- A log whose recorded end is missing stays one, for whoever verifies it.
INSERT INTO chain_ends (tenant, chain, position, hash)
    SELECT tenant, row_number() OVER (ORDER BY tenant), coalesce(position, 0), coalesce(hash, zeroblob(32))
    FROM (SELECT tenant FROM audit UNION SELECT tenant FROM audit_head) LEFT JOIN audit_head USING (tenant);

CREATE TABLE audit_rows (
    place   INTEGER NOT NULL PRIMARY KEY,
    entries BLOB    NOT NULL
) STRICT;
-- Positions that cannot be were tampered with: they stay in their chain, to be found.
INSERT OR IGNORE INTO audit_rows (place, entries)
    SELECT (chain << 44) + min(max(audit.position, 0), (1 << 44) - 1),
        CAST(lower(hex(audit.hash)) || ' ' || CAST(entry AS TEXT) || char(10) AS BLOB)
    FROM chain_ends JOIN audit USING (tenant) ORDER BY tenant, audit.position;

DROP TABLE audit;
DROP TABLE audit_head;
ALTER TABLE audit_rows RENAME TO audit;
ALTER TABLE chain_ends RENAME TO audit_head;
