"""Servers: begun, waited for, weighed and ended."""

import os
import random
import signal
import socket
import time
from pathlib import Path

from . import children, kernel


# Below those that the kernel gives to clients, of whom one could take it before its server does.
PORTS = range(20_000, 30_000)


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """A process that listens on a port; what it says goes to a log beside its data."""

    def __init__(
        self,
        command: list,
        port: int,
        log: Path,
        environment: dict | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        wait_s: float = 60,
        listeners: int = 1,
        end_signal: int = signal.SIGTERM,
    ):
        self.port, self.log = port, log
        with log.open("a") as output:
            self.process = children.begin(
                command,
                end_signal,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
                user=user,
                group=user,
            )
        self._wait_for_port(listeners, time.monotonic() + wait_s)
        preloaded = (environment or {}).get("LD_PRELOAD")
        if preloaded:
            self._require(Path(preloaded))

    def _wait_for_port(self, listeners: int, until: float) -> None:
        while kernel.listeners(self.port) < listeners:
            if self.process.poll() is not None or time.monotonic() > until:
                self.fail(f"does not listen on port {self.port}")
            time.sleep(0.02)

    def _require(self, library: Path) -> None:
        for pid in kernel.family(self.process.pid):
            if kernel.lacks(pid, library):
                self.fail(f"has not loaded {library} in its process {pid}")

    def fail(self, why: str) -> None:
        children.end(self.process)
        raise SystemExit(f"{self.process.args[0]} {why}; it said:\n{self.log.read_text()[-2000:]}")

    def shares(self) -> list[int]:
        """How many clients each of its processes serves, those that serve none left out."""
        counts = (kernel.connections(pid, self.port) for pid in kernel.family(self.process.pid))
        return [count for count in counts if count]

    def memory_mib(self) -> float:
        """What it and its children hold; pages that several of them share count once."""
        return sum(kernel.pss_kib(pid) for pid in kernel.family(self.process.pid)) / 1024

    def stop(self) -> None:
        children.end(self.process)
