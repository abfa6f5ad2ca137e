-- Collection tasks: ranges of channels that become assets.

-- `asset` is the name that the asset is to have; once it exists it is `asset_id`, which has the name that it has then. `failure`
-- of a task that is under way says why it does not go on, and `attempt_at` when it is tried again. `files` is 1 as long as
-- copies that nobody needs may lie below `storage_path`.
CREATE TABLE harvests (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id    INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    endpoint      TEXT NOT NULL,
    start_ms      INTEGER NOT NULL,
    end_ms        INTEGER NOT NULL,
    storage_path  TEXT NOT NULL,
    group_id      INTEGER NOT NULL,
    asset         TEXT NOT NULL,
    asset_id      INTEGER REFERENCES assets (id) ON DELETE SET NULL,
    content_id    TEXT,
    status        TEXT NOT NULL,
    failure       TEXT,
    attempt_at    INTEGER NOT NULL DEFAULT 0,
    objects_done  INTEGER NOT NULL DEFAULT 0,
    objects_total INTEGER NOT NULL DEFAULT 0,
    bytes_done    INTEGER NOT NULL DEFAULT 0,
    bytes_total   INTEGER NOT NULL DEFAULT 0,
    files         INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    ended_at      INTEGER
) STRICT;
CREATE INDEX harvests_by_channel ON harvests (channel_id, id);
CREATE INDEX harvests_by_status ON harvests (status, id);
CREATE INDEX harvests_by_asset ON harvests (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX harvests_with_files ON harvests (id) WHERE files = 1;

-- With the names of what they are about.
CREATE VIEW harvests_named AS
SELECT h.id, h.channel_id, g.name AS channel_group, c.name AS channel, c.uid, h.endpoint, h.start_ms, h.end_ms, h.storage_path,
       coalesce(a.group_id, h.group_id) AS group_id, p.name AS packaging_group, coalesce(a.name, h.asset) AS asset, h.asset_id,
       h.content_id, h.status, h.failure, h.attempt_at, h.objects_done, h.objects_total, h.bytes_done, h.bytes_total, h.files,
       h.created_at, h.ended_at
FROM harvests h
     JOIN channels c ON c.id = h.channel_id
     JOIN channel_groups g ON g.id = c.group_id
     LEFT JOIN assets a ON a.id = h.asset_id
     LEFT JOIN packaging_groups p ON p.id = coalesce(a.group_id, h.group_id);
