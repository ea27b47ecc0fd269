-- Shared by FastAPI + SQLite, axum + SQLite and the bulk load in Python.
PRAGMA journal_mode = WAL;
CREATE TABLE card (id INTEGER PRIMARY KEY, serial_number TEXT NOT NULL UNIQUE);
CREATE TABLE stb (id INTEGER PRIMARY KEY, serial_number TEXT NOT NULL UNIQUE);
CREATE TABLE request (
    id INTEGER PRIMARY KEY,
    card_id INTEGER NOT NULL REFERENCES card (id),
    stb_id INTEGER NOT NULL REFERENCES stb (id),
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX request_pending ON request (id) WHERE state = 'PENDING';
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    request_id INTEGER NOT NULL REFERENCES request (id),
    detail TEXT NOT NULL
);
