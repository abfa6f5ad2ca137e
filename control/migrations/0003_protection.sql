-- Content protection. What is secret is sealed under keys made from the master key, which is in the environment only.

-- Tells a wrong master key from the one that everything here was sealed with.
CREATE TABLE vault (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    check_value BLOB NOT NULL
) STRICT;

-- `protection` is what may be shown of it, `protection_sealed` all of it. `protection_revision` grows whenever it changes,
-- so that keys asked for before are not taken for those of now.
ALTER TABLE configurations ADD COLUMN protection TEXT;
ALTER TABLE configurations ADD COLUMN protection_sealed BLOB;
ALTER TABLE configurations ADD COLUMN protection_revision INTEGER NOT NULL DEFAULT 0;

-- The content keys of each asset under each configuration that protects. No row: they were not asked for yet. `sealed` are
-- the last keys that were had, which stay when later ones cannot be had.
CREATE TABLE asset_keys (
    asset_id         INTEGER NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
    configuration_id INTEGER NOT NULL REFERENCES configurations (id) ON DELETE CASCADE,
    state            TEXT NOT NULL,
    reason           TEXT,
    attempts         INTEGER NOT NULL DEFAULT 0,
    next_attempt_at  INTEGER NOT NULL DEFAULT 0,
    sealed           BLOB,
    PRIMARY KEY (asset_id, configuration_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX asset_keys_by_configuration ON asset_keys (configuration_id);
CREATE INDEX asset_keys_waiting ON asset_keys (next_attempt_at) WHERE state <> 'READY';
