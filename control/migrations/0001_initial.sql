-- Packaging groups, configurations, assets and their ingest state, documents with revisions, and edges.

CREATE TABLE packaging_groups (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE configurations (
    id                       INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id                 INTEGER NOT NULL REFERENCES packaging_groups (id),
    name                     TEXT NOT NULL UNIQUE,
    package_type             TEXT NOT NULL,
    segment_duration_seconds INTEGER NOT NULL,
    manifest_name            TEXT NOT NULL,
    stream_order             TEXT NOT NULL,
    min_video_bitrate        INTEGER,
    max_video_bitrate        INTEGER,
    created_at               INTEGER NOT NULL
) STRICT;
CREATE INDEX configurations_by_group ON configurations (group_id, id);

-- `generation` grows whenever the sources change, so that an ingest of older sources cannot finish over them.
CREATE TABLE assets (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id    INTEGER NOT NULL REFERENCES packaging_groups (id),
    name        TEXT NOT NULL UNIQUE,
    content_id  TEXT,
    status      TEXT NOT NULL,
    generation  INTEGER NOT NULL DEFAULT 1,
    queued_at   INTEGER NOT NULL,
    progress    REAL NOT NULL DEFAULT 0,
    failure     TEXT,
    warnings    TEXT NOT NULL DEFAULT '[]',
    duration_ms INTEGER,
    tracks      TEXT NOT NULL DEFAULT '[]',
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX assets_by_group ON assets (group_id, id);
CREATE INDEX assets_by_status ON assets (status, queued_at, id);

CREATE TABLE sources (
    asset_id INTEGER NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    path     TEXT NOT NULL,
    language TEXT,
    label    TEXT,
    role     TEXT,
    bytes    INTEGER,
    etag     TEXT,
    PRIMARY KEY (asset_id, position)
) STRICT;
CREATE INDEX sources_by_path ON sources (path);

-- Every index object that may exist in storage. It is written here before it is written there; what no asset refers to
-- has `unreferenced_at` and is removed from storage, then from here, once the grace period is over.
CREATE TABLE index_objects (
    path            TEXT PRIMARY KEY,
    asset_id        INTEGER,
    bytes           INTEGER,
    head_bytes      INTEGER,
    digest          TEXT,
    unreferenced_at INTEGER
) STRICT;
CREATE INDEX index_objects_by_asset ON index_objects (asset_id);
CREATE INDEX index_objects_unreferenced ON index_objects (unreferenced_at) WHERE unreferenced_at IS NOT NULL;

-- What edges should have. `json` is the whole document; a deleted one stays as a tombstone.
CREATE TABLE documents (
    key      TEXT PRIMARY KEY,
    revision INTEGER NOT NULL UNIQUE,
    json     TEXT NOT NULL
) STRICT;

CREATE TABLE revision (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO revision (id, value) VALUES (1, 0);

CREATE TABLE edges (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    name                  TEXT NOT NULL UNIQUE,
    url                   TEXT NOT NULL,
    kind                  TEXT NOT NULL,
    sequence              INTEGER NOT NULL DEFAULT 0,
    acknowledged_revision INTEGER NOT NULL DEFAULT 0,
    last_error            TEXT,
    last_contact          INTEGER,
    created_at            INTEGER NOT NULL
) STRICT;
