"""Waits for a worker as long as it gets on."""

import time
from collections.abc import Callable
from pathlib import Path

# A worker that completes nothing for so long never will.
STANDSTILL_S = 60


def wait_for_none(left: Callable[[], int], look_s: float, log: Path) -> None:
    before, until = None, 0.0
    while now := left():
        if now != before:
            before, until = now, time.monotonic() + STANDSTILL_S
        elif time.monotonic() > until:
            raise SystemExit(f"{now} requests are left, none was completed for {STANDSTILL_S} s; {log} ends with:\n{log.read_text()[-2000:]}")
        time.sleep(look_s)
