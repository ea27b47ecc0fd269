"""Processes: begun, waited for, weighed and ended."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    ):
        self.port, self.log = port, log
        with log.open("a") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
                user=user,
                group=user,
                start_new_session=True,
            )
        self._wait_for_port(time.monotonic() + wait_s)

    def _wait_for_port(self, until: float) -> None:
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        tail = self.log.read_text()[-2000:]
        raise SystemExit(f"{self.process.args[0]} does not listen on port {self.port}; it said:\n{tail}")

    def memory_mib(self) -> float:
        """What it and its children hold; pages that several of them share count once."""
        return sum(_pss_kib(pid) for pid in _with_children(self.process.pid)) / 1024

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        self.process.send_signal(with_signal)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _with_children(pid: int) -> list[int]:
    every = [pid]
    for parent in every:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            every += [int(child) for child in task.read_text().split()]
    return every


def _pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
