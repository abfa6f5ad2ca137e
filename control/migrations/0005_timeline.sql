-- Live timelines: what was taken of the uploads of a channel, and in which order.

-- `state` is JSON: the timeline as edges get it but for the positions since the last part, and what the next position is held
-- against. Written with every position, so that both are always of the same moment.
CREATE TABLE timelines (
    channel_id INTEGER PRIMARY KEY REFERENCES channels (id) ON DELETE CASCADE,
    state      TEXT NOT NULL
) STRICT;

-- `head` is the head of an index of this position; it goes when the position is in a part. `blocks` is 1 while the object with
-- its blocks is there.
CREATE TABLE positions (
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    input      INTEGER,
    start_us   INTEGER NOT NULL,
    end_us     INTEGER NOT NULL,
    made_ms    INTEGER NOT NULL,
    head       BLOB,
    blocks     INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (channel_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX positions_with_blocks ON positions (channel_id, number) WHERE blocks = 1;

-- The position that a segment is in; -1 when the timeline has it from the other input, or cannot use it; NULL while that is
-- open. Initialization sections are in none.
ALTER TABLE uploads ADD COLUMN position INTEGER;
CREATE INDEX uploads_open ON uploads (channel_id, id) WHERE position IS NULL AND path IS NOT NULL;
CREATE INDEX uploads_by_position ON uploads (channel_id, position) WHERE position IS NOT NULL;
