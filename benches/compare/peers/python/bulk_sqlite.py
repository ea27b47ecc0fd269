"""Rows of a CSV file made into requests in SQLite, a thousand rows a transaction.

usage: bulk_sqlite.py DATABASE ROWS.csv
"""

import csv
import itertools
import sqlite3
import sys
import time

ROWS_A_TRANSACTION = 1000


def main(path: str, rows_path: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    created = failed = 0
    with open(rows_path, newline="") as file:
        rows = csv.DictReader(file)
        while chunk := list(itertools.islice(rows, ROWS_A_TRANSACTION)):
            database.execute("BEGIN IMMEDIATE")
            for row in chunk:
                card = database.execute("SELECT id FROM card WHERE serial_number = ?", (row["smartcard"],)).fetchone()
                stb = database.execute("SELECT id FROM stb WHERE serial_number = ?", (row["stb"],)).fetchone()
                if card is None or stb is None:
                    failed += 1
                    continue
                at = time.time_ns() // 1000
                request = database.execute(
                    "INSERT INTO request (card_id, stb_id, state, created_at) VALUES (?, ?, 'PENDING', ?)", (card[0], stb[0], at)
                ).lastrowid
                database.execute(
                    "INSERT INTO audit (at, who, what, request_id, detail) VALUES (?, 'bulk', 'accepted', ?, ?)",
                    (at, request, f"pair {row['smartcard']} with {row['stb']}"),
                )
                created += 1
            database.execute("COMMIT")
    print(f"{created} created, {failed} failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
