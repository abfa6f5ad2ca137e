-- Live: channel groups, channels with their two inputs, endpoints, and what encoders pushed. Who may play, also of assets.

CREATE TABLE channel_groups (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    description TEXT,
    created_at  INTEGER NOT NULL
) STRICT;

-- `uid` names the timeline and the objects of a channel: a channel that is made anew under an old name has another one.
CREATE TABLE channels (
    id                       INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id                 INTEGER NOT NULL REFERENCES channel_groups (id),
    name                     TEXT NOT NULL,
    uid                      TEXT NOT NULL UNIQUE,
    protocol                 TEXT NOT NULL,
    segment_duration_seconds INTEGER NOT NULL,
    segment_count            INTEGER NOT NULL,
    created_at               INTEGER NOT NULL,
    updated_at               INTEGER NOT NULL,
    UNIQUE (group_id, name)
) STRICT;

-- Channels that are gone and whose objects are still to be removed from storage.
CREATE TABLE channel_remains (
    uid        TEXT PRIMARY KEY,
    deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Passwords are random, so a plain hash is enough to check them with. They can be shown again where there is a master key.
CREATE TABLE channel_inputs (
    channel_id      INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    input           INTEGER NOT NULL CHECK (input IN (1, 2)),
    username        TEXT NOT NULL,
    password_hash   BLOB NOT NULL,
    password_sealed BLOB,
    PRIMARY KEY (channel_id, input)
) STRICT, WITHOUT ROWID;

CREATE TABLE input_status (
    channel_id      INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    input           INTEGER NOT NULL CHECK (input IN (1, 2)),
    uploads         INTEGER NOT NULL DEFAULT 0,
    bytes           INTEGER NOT NULL DEFAULT 0,
    last_upload_at  INTEGER,
    refused         INTEGER NOT NULL DEFAULT 0,
    last_refusal    TEXT,
    last_refusal_at INTEGER,
    PRIMARY KEY (channel_id, input)
) STRICT, WITHOUT ROWID;

-- Fields of manifests that are NULL are what `protocol` and the segment duration make of them.
CREATE TABLE endpoints (
    id                         INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id                 INTEGER NOT NULL REFERENCES channels (id),
    name                       TEXT NOT NULL,
    protocol                   TEXT NOT NULL,
    manifest_name              TEXT NOT NULL,
    time_shift_days            INTEGER NOT NULL,
    access                     TEXT NOT NULL DEFAULT '{}',
    segment_duration_seconds   INTEGER NOT NULL,
    audio_separation           INTEGER NOT NULL,
    stream_order               TEXT NOT NULL,
    min_video_bitrate          INTEGER,
    max_video_bitrate          INTEGER,
    segments                   INTEGER,
    program_date_time_seconds  INTEGER,
    min_buffer_seconds         INTEGER,
    min_update_seconds         INTEGER,
    presentation_delay_seconds INTEGER,
    window_seconds             INTEGER,
    created_at                 INTEGER NOT NULL,
    UNIQUE (channel_id, name)
) STRICT;

-- What encoders pushed. A segment or initialization section is written here before its object is: what is RECEIVING when a
-- process starts was never acknowledged. STORED: the name means this one now; REPLACED: the name was pushed again; GONE: the
-- encoder deleted it. Media stays in all three. `listed` becomes 1 once a playlist that came later names it. Of playlists
-- there is the latest of a name, with its text in `body` and no object.
CREATE TABLE uploads (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id  INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    input       INTEGER NOT NULL CHECK (input IN (1, 2)),
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    status      TEXT NOT NULL,
    listed      INTEGER NOT NULL DEFAULT 0,
    path        TEXT,
    body        BLOB,
    bytes       INTEGER NOT NULL DEFAULT 0,
    etag        TEXT,
    received_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX uploads_by_channel ON uploads (channel_id, id);
CREATE INDEX uploads_by_name ON uploads (channel_id, input, name) WHERE status = 'STORED';
CREATE INDEX uploads_playlists ON uploads (channel_id, input) WHERE status = 'STORED' AND path IS NULL;
CREATE INDEX uploads_unlisted ON uploads (channel_id, input) WHERE status = 'STORED' AND listed = 0;
CREATE INDEX uploads_receiving ON uploads (id) WHERE status = 'RECEIVING';

ALTER TABLE configurations ADD COLUMN access TEXT NOT NULL DEFAULT '{}';
