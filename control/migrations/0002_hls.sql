-- HLS with TS segments, HLS playlists as sources, and what turns out to be wrong with media after it was indexed.

ALTER TABLE configurations ADD COLUMN audio_separation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE configurations ADD COLUMN hls_version INTEGER NOT NULL DEFAULT 4;
ALTER TABLE configurations ADD COLUMN text_format TEXT NOT NULL DEFAULT 'WVTT';

ALTER TABLE sources ADD COLUMN forced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN is_default INTEGER NOT NULL DEFAULT 0;

-- `playlist` is the path of a multivariant playlist; an asset that has one has no rows in `sources`.
ALTER TABLE assets ADD COLUMN playlist TEXT;
ALTER TABLE assets ADD COLUMN segments_done INTEGER;
ALTER TABLE assets ADD COLUMN segments_total INTEGER;

-- Where the objects lie that the playlists of an asset name: the path before the last slash, without it. There are a few
-- folders to thousands of objects.
CREATE TABLE folders (
    path     TEXT NOT NULL,
    asset_id INTEGER NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
    PRIMARY KEY (path, asset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX folders_by_asset ON folders (asset_id);

-- What edges met: objects that changed or went away since they were indexed.
CREATE TABLE source_warnings (
    asset_id INTEGER NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
    path     TEXT NOT NULL,
    text     TEXT NOT NULL,
    PRIMARY KEY (asset_id, path)
) STRICT, WITHOUT ROWID;
