"""What is measured: each can be started and stopped, says its memory, and counts afterwards what lies on its disk: requests, those
of them that are pending, and entries of the audit."""

import sqlite3
import sys

from . import children, place, process
from .box import Box
from .postgres import Cluster

PYTHON = sys.executable
TOKEN_BYTES = 32
COUNT = "SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM request WHERE state = 'PENDING'), (SELECT count(*) FROM audit)"


class Pairbox:
    name = "pairbox"
    workers = 1

    def __init__(self):
        self.box = Box(place.folder("pairbox"), place.ITEMS)

    def start(self, environment=None):
        self.box.start(environment)
        self.port, self.token = self.box.port, self.box.token()

    def stop(self):
        self.box.stop()

    def memory_mib(self):
        return self.box.server.memory_mib()

    def count(self):
        """In the ledger each line is the request and its entry of the audit."""
        kept = self.box.count(b'"event":{"request_accepted":')
        self.box.start()
        try:
            return kept, self.box.unfinished(), kept
        finally:
            self.box.stop()


class Peer:
    # It asks for none, and gets a body as long as pairbox does.
    token = "0" * TOKEN_BYTES
    workers = 1

    def start(self, environment=None):
        self.port = process.free_port()
        environment = {**self.environment(), **(environment or {})}
        self.server = process.Server(
            self.command(), self.port, self.folder / "log", environment, place.PYTHON_PEERS, listeners=self.workers
        )

    def environment(self):
        return {}

    def stop(self):
        self.server.stop()

    def memory_mib(self):
        return self.server.memory_mib()


def make_sqlite(path, count: int = place.ITEMS) -> None:
    with sqlite3.connect(path) as database:
        database.executescript((place.PYTHON_PEERS / "schema_sqlite.sql").read_text())
        for table, items in zip(("card", "stb"), place.item_files(count), strict=True):
            rows = ((line.split(",")[0],) for line in items.read_text().splitlines()[1:])
            database.executemany(f"INSERT INTO {table} (serial_number) VALUES (?)", rows)
    database.close()


def count_sqlite(path):
    with sqlite3.connect(path) as database:
        return database.execute(COUNT).fetchone()


class FastApiSqlite(Peer):
    # One worker: writers of two processes cannot queue behind a lock, they sleep and try again, which was no faster and had a p99 many
    # times as long.
    name = "FastAPI + SQLite"

    def __init__(self):
        self.folder = place.folder("fastapi-sqlite")
        self.database = self.folder / "peer.db"
        make_sqlite(self.database)

    def command(self):
        return [PYTHON, "workers.py", "fastapi_sqlite", self.port, self.workers]

    def environment(self):
        return {"PEER_DATABASE": str(self.database)}

    def count(self):
        return count_sqlite(self.database)


class FastApiPostgresql(Peer):
    name = "FastAPI + PostgreSQL"
    workers = 2

    def __init__(self):
        self.folder = place.folder("fastapi-postgresql")
        self.cluster = Cluster(place.folder("postgresql"), place.ITEMS)

    def start(self, environment=None):
        self.cluster.start(environment)
        super().start()

    def command(self):
        return [PYTHON, "workers.py", "fastapi_postgresql", self.port, self.workers]

    def environment(self):
        return {"PEER_DSN": self.cluster.dsn}

    def stop(self):
        super().stop()
        self.cluster.stop()

    def memory_mib(self):
        return self.server.memory_mib() + self.cluster.server.memory_mib()

    def count(self):
        self.cluster.start()
        try:
            return self.cluster.query(COUNT)
        finally:
            self.cluster.stop()


class AxumSqlite(Peer):
    name = "axum + SQLite"

    def __init__(self):
        self.folder = place.folder("axum-sqlite")
        self.database = self.folder / "peer.db"
        make_sqlite(self.database)

    def command(self):
        return [place.RUST_PEERS / "axum-sqlite", self.port, self.database]

    def count(self):
        return count_sqlite(self.database)


class AxumRedb(Peer):
    name = "axum + redb"

    def __init__(self):
        self.folder = place.folder("axum-redb")
        self.database = self.folder / "peer.redb"
        self._run("load", self.database, *place.item_files(place.ITEMS))

    def _run(self, *words):
        return children.run([place.RUST_PEERS / "axum-redb", *words])

    def command(self):
        return [place.RUST_PEERS / "axum-redb", "serve", self.port, self.database]

    def count(self):
        return tuple(int(word) for word in self._run("count", self.database).split())


ALL = (Pairbox, FastApiSqlite, FastApiPostgresql, AxumSqlite, AxumRedb)
