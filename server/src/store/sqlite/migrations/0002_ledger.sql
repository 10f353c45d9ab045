-- Beside the document: what is open is settled at the next start, what is settled goes when it is old.
ALTER TABLE ledger ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN begun_at INTEGER NOT NULL DEFAULT 0;
UPDATE ledger SET open = CAST(doc AS TEXT) ->> '$.state' = 'intent', begun_at = CAST(doc AS TEXT) ->> '$.begun_at';
CREATE INDEX ledger_open ON ledger (tenant, begun_at) WHERE open = 1;
CREATE INDEX ledger_settled ON ledger (tenant, begun_at) WHERE open = 0;
