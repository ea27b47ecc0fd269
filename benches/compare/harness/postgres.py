"""A PostgreSQL cluster of its own, as it comes from its package: fsync and synchronous_commit are on."""

import os
import shutil
import signal
import time
from pathlib import Path

import psycopg

from . import children, place, process


FAST_SHUTDOWN = signal.SIGINT


class Cluster:
    def __init__(self, folder: Path, items: int):
        self.folder, self.port = folder, process.free_port()
        # It refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user)
        command = ["initdb", "--auth=trust", "--username=postgres", "--locale=C.UTF-8", "--encoding=UTF8", "--pgdata", folder / "data"]
        hint = f"its user must be able to enter {folder} (COMPARE_DIR names another)"
        children.run(command, hint, user=self.user, group=self.user, cwd=folder)
        self.dsn = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.start()
        schema = (place.PYTHON_PEERS / "schema_postgresql.sql").read_text()
        with psycopg.connect(self.dsn) as database:
            database.execute(schema)
            for table, path in zip(("card", "stb"), place.item_files(items), strict=True):
                with database.cursor().copy(f"COPY {table} (serial_number) FROM STDIN") as copy:
                    for line in path.read_text().splitlines()[1:]:
                        copy.write_row((line.split(",")[0],))
        with psycopg.connect(self.dsn, autocommit=True) as database:
            database.execute("VACUUM ANALYZE")
        self.stop()

    def start(self, environment: dict | None = None) -> None:
        command = ["postgres", "-D", self.folder / "data", "-p", self.port, "-k", self.folder]
        self.server = process.Server(command, self.port, self.folder / "log", environment, self.folder, self.user, end_signal=FAST_SHUTDOWN)
        until = time.monotonic() + 60
        while True:
            # It listens before it has recovered.
            try:
                psycopg.connect(self.dsn).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        self.server.stop()

    def query(self, sql: str) -> tuple:
        with psycopg.connect(self.dsn) as database:
            return database.execute(sql).fetchone()
