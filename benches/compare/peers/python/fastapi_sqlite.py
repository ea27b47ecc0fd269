"""FastAPI + SQLite: WAL, synchronous FULL, a connection a thread, one transaction a call.

The database is PEER_DATABASE, made by schema_sqlite.sql.
"""

import os
import sqlite3
import threading
import time

from fastapi import FastAPI, HTTPException

from pair_call import PATH, PairCall

app = FastAPI()
own = threading.local()
# SQLite has one writer; without this the threads sleep and try again in it.
turn = threading.Lock()


def connection() -> sqlite3.Connection:
    if not hasattr(own, "connection"):
        own.connection = sqlite3.connect(os.environ["PEER_DATABASE"], isolation_level=None, timeout=60)
        own.connection.execute("PRAGMA journal_mode = WAL")
        own.connection.execute("PRAGMA synchronous = FULL")
    return own.connection


@app.post(PATH)
def pair(call: PairCall):
    card_serial = call.smartcard_identifier.serial_number
    stb_serial = call.stb_identifier.serial_number
    database = connection()
    with turn:
        database.execute("BEGIN IMMEDIATE")
        try:
            card = database.execute("SELECT id FROM card WHERE serial_number = ?", (card_serial,)).fetchone()
            if card is None:
                raise HTTPException(404, f"no card {card_serial}")
            stb = database.execute("SELECT id FROM stb WHERE serial_number = ?", (stb_serial,)).fetchone()
            if stb is None:
                raise HTTPException(404, f"no STB {stb_serial}")
            at = time.time_ns() // 1000
            request = database.execute(
                "INSERT INTO request (card_id, stb_id, state, created_at) VALUES (?, ?, 'PENDING', ?)", (card[0], stb[0], at)
            ).lastrowid
            database.execute(
                "INSERT INTO audit (at, who, what, request_id, detail) VALUES (?, 'crm', 'accepted', ?, ?)",
                (at, request, f"pair {card_serial} with {stb_serial}"),
            )
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
    return {"id": request}
