"""What is measured: each can be started and stopped, says its memory, and counts afterwards what lies on its disk."""

import sqlite3
import subprocess
import sys

from . import place, process
from .box import Box
from .postgres import Cluster

PYTHON = sys.executable
# Both cores, as a user would start it.
WORKERS = 2


class Pairbox:
    name = "pairbox"

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
        """Requests and entries of the audit: in the ledger each is both."""
        kept = self.box.count(b'"event":{"request_accepted":')
        return kept, kept


class Peer:
    token = ""

    def start(self, environment=None):
        self.port = process.free_port()
        self.server = process.Server(self.command(), self.port, self.folder / "log", {**self.environment(), **(environment or {})}, place.PYTHON_PEERS)

    def environment(self):
        return {}

    def stop(self):
        self.server.stop()

    def memory_mib(self):
        return self.server.memory_mib()


def uvicorn(module: str, port: int) -> list:
    return [PYTHON, "-m", "uvicorn", f"{module}:app", "--port", port, "--workers", WORKERS, "--log-level", "warning", "--no-access-log"]


def make_sqlite(path, count: int = place.ITEMS) -> None:
    with sqlite3.connect(path) as database:
        database.executescript((place.PYTHON_PEERS / "schema_sqlite.sql").read_text())
        for table, items in zip(("card", "stb"), place.item_files(count), strict=True):
            rows = ((line.split(",")[0],) for line in items.read_text().splitlines()[1:])
            database.executemany(f"INSERT INTO {table} (serial_number) VALUES (?)", rows)
    database.close()


def count_sqlite(path):
    with sqlite3.connect(path) as database:
        return database.execute("SELECT (SELECT count(*) FROM request WHERE state = 'PENDING'), (SELECT count(*) FROM audit)").fetchone()


class FastApiSqlite(Peer):
    name = "FastAPI + SQLite"

    def __init__(self):
        self.folder = place.folder("fastapi-sqlite")
        self.database = self.folder / "peer.db"
        make_sqlite(self.database)

    def command(self):
        return uvicorn("fastapi_sqlite", self.port)

    def environment(self):
        return {"PEER_DATABASE": str(self.database)}

    def count(self):
        return count_sqlite(self.database)


class FastApiPostgresql(Peer):
    name = "FastAPI + PostgreSQL"

    def __init__(self):
        self.folder = place.folder("fastapi-postgresql")
        self.cluster = Cluster(place.folder("postgresql"), place.ITEMS)

    def start(self, environment=None):
        self.cluster.start(environment)
        super().start()

    def command(self):
        return uvicorn("fastapi_postgresql", self.port)

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
            return self.cluster.query("SELECT (SELECT count(*) FROM request WHERE state = 'PENDING'), (SELECT count(*) FROM audit)")
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
        return subprocess.run([place.RUST_PEERS / "axum-redb", *words], check=True, capture_output=True, text=True).stdout

    def command(self):
        return [place.RUST_PEERS / "axum-redb", "serve", self.port, self.database]

    def count(self):
        requests, pending, audit = self._run("count", self.database).split()
        return min(int(requests), int(pending)), int(audit)


ALL = (Pairbox, FastApiSqlite, FastApiPostgresql, AxumSqlite, AxumRedb)
