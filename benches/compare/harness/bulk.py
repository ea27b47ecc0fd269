"""Rows of one CSV file made into durable requests, a card and an STB each, by the clock on the wall."""

import time

from . import children, peers, place, table
from .box import Box
from .postgres import Cluster

ROWS = 200_000


def run() -> None:
    rows_path = place.row_file(ROWS)
    box = Box(place.folder("bulk-pairbox"), ROWS)
    box.start()
    table.note("bulk: pairbox")
    begun = time.monotonic()
    said = box.call("run", "pair_from_csv", "--input", rows_path, "--rate", "0")
    took = {"pairbox, a job": time.monotonic() - begun}
    box.stop()
    kept = {"pairbox, a job": box.count(b'"event":{"request_accepted":')}

    database = place.folder("bulk-sqlite") / "peer.db"
    peers.make_sqlite(database, ROWS)
    table.note("bulk: Python + SQLite")
    took["Python + SQLite"] = timed("bulk_sqlite.py", database, rows_path)
    kept["Python + SQLite"] = peers.count_sqlite(database)[0]

    cluster = Cluster(place.folder("bulk-postgresql"), ROWS)
    cluster.start()
    table.note("bulk: Python + PostgreSQL COPY")
    took["Python + PostgreSQL COPY"] = timed("bulk_postgresql.py", cluster.dsn, rows_path)
    kept["Python + PostgreSQL COPY"] = cluster.query("SELECT count(*) FROM request WHERE state = 'PENDING'")[0]
    cluster.stop()

    for name, count in kept.items():
        if count != ROWS:
            raise SystemExit(f"{name} holds {count} requests of {ROWS} rows:\n{said}")
    own = took["pairbox, a job"]
    table.show(
        f"Bulk: {ROWS:,} rows",
        ["", "s", "rows/s", "pairbox / it"],
        [[name, span, round(ROWS / span), span / own] for name, span in took.items()],
    )


def timed(script: str, *words) -> float:
    begun = time.monotonic()
    children.run([peers.PYTHON, place.PYTHON_PEERS / script, *words])
    return time.monotonic() - begun
