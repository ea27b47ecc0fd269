"""The load of HTTP clients: wrk, one thread, each client's next request when its answer is there."""

import json
import os
import subprocess
from dataclasses import dataclass

from . import place


@dataclass
class Load:
    requests: int
    rate: float
    p50_us: int
    p99_us: int


def run(port: int, clients: int, seconds: int, first: int, token: str = "", items: int = place.ITEMS) -> Load:
    """An answer that is no success, or none at all, ends the comparison."""
    environment = {
        **os.environ,
        "LOAD_PATH": place.PAIR_PATH,
        "LOAD_TOKEN": token,
        "LOAD_FIRST": str(first),
        "LOAD_ITEMS": str(items),
    }
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", place.HERE / "load.lua", f"http://127.0.0.1:{port}"]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    seen = json.loads(said.split("LOAD ", 1)[1].splitlines()[0])
    if seen["failed"] or seen["broken"] or not seen["requests"]:
        raise SystemExit(f"port {port}: {seen['failed']} answers were no success, {seen['broken']} did not come:\n{said}")
    return Load(seen["requests"], seen["requests"] / (seen["us"] / 1e6), seen["p50_us"], seen["p99_us"])
