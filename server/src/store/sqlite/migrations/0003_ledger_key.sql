-- Beside the document: a repeat finds its write by the idempotency key that this was begun under.
ALTER TABLE ledger ADD COLUMN key TEXT;
UPDATE ledger SET key = CAST(doc AS TEXT) ->> '$.idempotency.key';
CREATE INDEX ledger_key ON ledger (tenant, key) WHERE key IS NOT NULL;
