"""The load of HTTP clients: wrk, one thread, each client's next request when its answer is there."""

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import children, kernel, place

# By then every client is connected, and no run is over.
LOOK_S = 0.5


@dataclass
class Load:
    requests: int
    span_us: int
    p50_us: float
    p99_us: float
    # Processor time of the whole machine.
    busy_us: int
    # Number of the first body that was not sent.
    next: int

    @property
    def rate(self) -> float:
        return self.requests / (self.span_us / 1e6)

    @property
    def busy_us_each(self) -> float:
        return self.busy_us / self.requests


def run(
    port: int, clients: int, seconds: int, first: int = 0, token: str = "", items: int = place.ITEMS, look: Callable | None = None
) -> Load:
    """An answer that is no success, or none at all, ends the comparison. `look` is called while the load runs."""
    environment = {
        **os.environ,
        "LOAD_PATH": place.PAIR_PATH,
        "LOAD_TOKEN": token,
        "LOAD_FIRST": str(first),
        "LOAD_ITEMS": str(items),
    }

    def meanwhile() -> None:
        time.sleep(LOOK_S)
        look()

    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", place.HERE / "load.lua", f"http://127.0.0.1:{port}"]
    before = kernel.busy_us()
    said = children.run(command, env=environment, meanwhile=meanwhile if look else None)
    busy_us = kernel.busy_us() - before
    seen = json.loads(said.split("LOAD ", 1)[1].splitlines()[0])
    if seen["failed"] or seen["broken"] or not seen["requests"]:
        raise SystemExit(f"port {port}: {seen['failed']} answers were no success, {seen['broken']} did not come:\n{said}")
    return Load(seen["requests"], seen["us"], seen["p50_us"], seen["p99_us"], busy_us, seen["next"])


def together(loads: list[Load]) -> Load:
    """Requests over all of the time; the latencies are means."""
    return Load(
        sum(load.requests for load in loads),
        sum(load.span_us for load in loads),
        round(statistics.mean(load.p50_us for load in loads)),
        round(statistics.mean(load.p99_us for load in loads)),
        sum(load.busy_us for load in loads),
        loads[-1].next,
    )
