"""Every process that the comparison begins, in one place, so that none outlives it however it ends."""

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from . import kernel

# A server has so long to end by itself.
STOP_S = 30
# Nothing that is waited for takes so long.
RUN_S = 1800
# When the whole run ends early, all of them together have so long.
END_S = 5

_begun: dict[int, tuple[subprocess.Popen, int]] = {}


def begin(command: list, end_signal: int = signal.SIGTERM, **how) -> subprocess.Popen:
    """A process and a group of its own; `end_signal` is what it ends by."""
    child = subprocess.Popen([str(word) for word in command], start_new_session=True, **how)
    _begun[child.pid] = child, end_signal
    return child


def end(child: subprocess.Popen) -> None:
    """By its signal, and what is left of its group by force."""
    child.send_signal(_begun[child.pid][1])
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        pass
    _kill_group(child)
    del _begun[child.pid]


def run(command: list, hint: str = "", meanwhile: Callable | None = None, **how) -> str:
    """What it prints; that it fails ends the comparison. `meanwhile` is called while it runs."""
    child = begin(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)
    if meanwhile:
        meanwhile()
    try:
        said, complaint = child.communicate(timeout=RUN_S)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{' '.join(child.args)} has not ended after {RUN_S} s") from None
    _kill_group(child)
    del _begun[child.pid]
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(child.args)} failed{hint and ': '}{hint}\n{said}{complaint}")
    return said


def _kill_group(child: subprocess.Popen) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


@atexit.register
def _end_all() -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    for child, end_signal in _begun.values():
        child.send_signal(end_signal)
    until = time.monotonic() + END_S
    while any(child.poll() is None for child, _ in _begun.values()) and time.monotonic() < until:
        time.sleep(0.02)
    # PostgreSQL's processes have groups of their own.
    for pid in kernel.family(os.getpid())[1:]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for child, _ in _begun.values():
        _kill_group(child)


def _leave(number: int, _frame) -> None:
    sys.exit(128 + number)


for _name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(_name, _leave)
