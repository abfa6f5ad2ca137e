-- Content protection of live endpoints, as configurations have it: see 0003_protection.sql.

-- `content_id` is what key servers call an endpoint; NULL until it protects or is given one.
ALTER TABLE endpoints ADD COLUMN content_id TEXT;
ALTER TABLE endpoints ADD COLUMN protection TEXT;
ALTER TABLE endpoints ADD COLUMN protection_sealed BLOB;
ALTER TABLE endpoints ADD COLUMN protection_revision INTEGER NOT NULL DEFAULT 0;

-- The content keys of each endpoint that protects. No row: it does not protect. `sealed` are the last keys that were had, which
-- stay when later ones cannot be had.
CREATE TABLE endpoint_keys (
    endpoint_id     INTEGER PRIMARY KEY REFERENCES endpoints (id) ON DELETE CASCADE,
    state           TEXT NOT NULL,
    reason          TEXT,
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL DEFAULT 0,
    sealed          BLOB
) STRICT;
CREATE INDEX endpoint_keys_waiting ON endpoint_keys (next_attempt_at) WHERE state <> 'READY';
