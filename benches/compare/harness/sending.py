"""Due requests sent to a gateway that answers at once, every intent and every outcome durable."""

import datetime
import json

from . import celery, children, peers, place, process, table
from .box import Box
from .postgres import Cluster

REQUESTS = 10_000
WINDOWS = (1, 64)


def run() -> None:
    folder = place.folder("sending")
    port = process.free_port()
    gateway = process.Server([place.GATEWAY, port], port, folder / "gateway.log")
    rows = []
    for window in WINDOWS:
        seen = {
            "pairbox": by_pairbox(port, window),
            "asyncio + PostgreSQL": by_asyncio(port, window),
        }
        own = seen["pairbox"]
        rows += [[window, name, round(rate), own / rate] for name, rate in seen.items()]
    # Beside the widest window of pairbox.
    for pool, in_flight in celery.POOLS:
        rate = by_celery(port, pool, in_flight)
        rows.append([in_flight, f"Celery + Redis + PostgreSQL, {pool}", round(rate), own / rate])
    gateway.stop()
    table.show(f"Sending: {REQUESTS:,} due requests", ["window", "", "a second", "pairbox / it"], rows)


def by_pairbox(port: int, window: int) -> float:
    table.note(f"sending: pairbox, window {window}")
    box = Box(place.folder("sending-pairbox"), place.ITEMS, port, f"window = {window}")
    box.start()
    box.call("run", "pair_from_csv", "--input", place.row_file(REQUESTS), "--rate", "0")
    box.call("provider", "resume", "north")
    box.wait_for_sent()
    box.stop()
    begun, settled = [], []
    for line in box.events():
        if b'"event":{"attempt_begun":' in line:
            begun.append(json.loads(line)["at"])
        elif b'"event":{"attempt_settled":' in line and b'"then":"completed"' in line:
            settled.append(json.loads(line)["at"])
    if len(settled) != REQUESTS:
        raise SystemExit(f"pairbox completed {len(settled)} of {REQUESTS} requests")
    first, last = datetime.datetime.fromisoformat(begun[0]), datetime.datetime.fromisoformat(settled[-1])
    return REQUESTS / (last - first).total_seconds()


def with_due_requests(name: str) -> Cluster:
    cluster = Cluster(place.folder(name), place.ITEMS)
    cluster.start()
    rows = place.row_file(REQUESTS)
    children.run([peers.PYTHON, place.PYTHON_PEERS / "bulk_postgresql.py", cluster.dsn, rows])
    return cluster


def rate_of(cluster: Cluster) -> float:
    """From the first intent to the last outcome, as the audit has them."""
    done, first, last = cluster.query(
        "SELECT (SELECT count(*) FROM request WHERE state = 'COMPLETED'), min(at) FILTER (WHERE what = 'intent'), max(at) FILTER (WHERE what = 'outcome') FROM audit"
    )
    if done != REQUESTS:
        raise SystemExit(f"a worker completed {done} of {REQUESTS} requests")
    return REQUESTS / (last - first).total_seconds()


def by_asyncio(port: int, window: int) -> float:
    table.note(f"sending: asyncio + PostgreSQL, window {window}")
    cluster = with_due_requests("sending-asyncio")
    children.run([peers.PYTHON, place.PYTHON_PEERS / "worker_asyncio.py", cluster.dsn, port, window])
    rate = rate_of(cluster)
    cluster.stop()
    return rate


def by_celery(port: int, pool: str, in_flight: int) -> float:
    table.note(f"sending: Celery + Redis + PostgreSQL, {pool}, {in_flight} in flight")
    cluster = with_due_requests("sending-celery")
    celery.send_all(cluster, port, pool, in_flight)
    rate = rate_of(cluster)
    cluster.stop()
    return rate
