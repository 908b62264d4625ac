-- The log of all streams, its projections, and what enclaves announced.
--
-- Numbers are milliseconds or counts, blobs are the bytes themselves. Nothing here can be read without the group's key
-- or forged without a participant's: payloads are public, signed text; ciphertexts lie in blob_0 and blob_1.

CREATE TABLE epochs (
    number       INTEGER PRIMARY KEY,               -- the highest is the current one; the others are those of a past that was restored
    epoch        BLOB NOT NULL UNIQUE CHECK (length(epoch) = 16),  -- random; goes into every record's hash
    begun_at_ms  INTEGER NOT NULL                   -- when this store, or the restored one, was first opened
) STRICT;

CREATE TABLE sessions (
    place        INTEGER PRIMARY KEY,               -- in the order of opening; inside this database only, never on the wire
    stream       BLOB NOT NULL UNIQUE CHECK (length(stream) = 32), -- the session's name: the id of the statement that opened it
    kind         TEXT NOT NULL CHECK (kind IN ('keygen', 'signing', 'wallet')),
    state        TEXT NOT NULL,                     -- the machine's state after the latest record, such as COLLECTING
    top          INTEGER NOT NULL CHECK (top >= 1), -- offset of the latest record
    keygen       BLOB CHECK (length(keygen) = 32),  -- a signing's keygen stream; NULL for the others
    deadline_ms  INTEGER,                           -- when the clock has something to say; NULL: never
    open         INTEGER NOT NULL CHECK (open IN (0, 1))           -- 0 once nothing can follow
) STRICT;

-- The clock at the start asks for the open sessions that have a deadline.
CREATE INDEX sessions_by_deadline ON sessions (deadline_ms) WHERE open AND deadline_ms IS NOT NULL;

-- Blobs are columns of their own, apart from what the hash chain covers: after its retention a ciphertext is set to
-- NULL, while the payload that names its SHA-256, the signatures and the record's hash stay and still verify.
CREATE TABLE records (
    session      INTEGER NOT NULL REFERENCES sessions (place),     -- whose stream
    offset       INTEGER NOT NULL CHECK (offset >= 1),             -- 1, 2, 3 … without gaps
    epoch        INTEGER NOT NULL REFERENCES epochs (number),      -- under which it was appended
    at_ms        INTEGER NOT NULL,                  -- the coordinator's time; never goes back within a stream
    hash         BLOB NOT NULL CHECK (length(hash) = 32),          -- the chain up to and including this record
    statement    BLOB NOT NULL UNIQUE CHECK (length(statement) = 32), -- the statement's id; a second submit finds the first
    signatures   BLOB NOT NULL CHECK (length(signatures) IN (64, 128)), -- 64 bytes each, in the order of the signers
    payload      TEXT NOT NULL,                     -- canonical JSON, exactly as it was signed
    blob_count   INTEGER NOT NULL CHECK (blob_count BETWEEN 0 AND 2), -- how many the payload names, there or deleted
    blob_0       BLOB,                              -- the first ciphertext; NULL: deleted, or none is named
    blob_1       BLOB,                              -- the second one, likewise
    UNIQUE (session, offset)
) STRICT;

CREATE TABLE hearers (
    key          BLOB NOT NULL CHECK (length(key) = 32),           -- a key that this session concerns
    session      INTEGER NOT NULL REFERENCES sessions (place),     -- the session
    PRIMARY KEY (key, session)
) STRICT, WITHOUT ROWID;

-- An append that changes who hears a stream asks who hears it now.
CREATE INDEX hearers_by_session ON hearers (session);

CREATE TABLE enclaves (
    identity     BLOB PRIMARY KEY CHECK (length(identity) = 32),   -- the x-only key that it seals and signs with
    announced_at_ms INTEGER NOT NULL,               -- its latest announcement
    capacity     TEXT NOT NULL,                     -- JSON, as announced
    document     BLOB,                              -- the latest attestation document; NULL: none yet
    kept         BLOB                               -- its identity, wrapped by itself; opaque here; NULL: it keeps its own
) STRICT, WITHOUT ROWID;
