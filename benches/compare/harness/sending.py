"""Due requests sent to a gateway that answers at once, every intent and every outcome durable."""

import datetime
import json
import os
import subprocess
import time

from . import peers, place, process, table
from .box import Box
from .postgres import Cluster

REQUESTS = 10_000
WINDOWS = (1, 64)
# A worker that completes nothing for so long never will.
STANDSTILL_S = 60


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
        if window == max(WINDOWS):
            rate = by_celery(port)
            rows.append([f"{peers.WORKERS} processes", "Celery + Redis + PostgreSQL", round(rate), own / rate])
    gateway.stop()
    table.show(f"Sending: {REQUESTS:,} due requests", ["window", "", "a second", "pairbox / it"], rows)


def by_pairbox(port: int, window: int) -> float:
    table.note(f"sending: pairbox, window {window}")
    box = Box(place.folder("sending-pairbox"), place.ITEMS, port, f"window = {window}")
    box.start()
    box.call("run", "pair_from_csv", "--input", place.row_file(REQUESTS), "--rate", "0")
    box.call("provider", "resume", "north")
    # Looking costs the box something, so seldom.
    while box.unfinished():
        time.sleep(0.5)
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
    command = [peers.PYTHON, place.PYTHON_PEERS / "bulk_postgresql.py", cluster.dsn, str(rows)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
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
    command = [peers.PYTHON, place.PYTHON_PEERS / "worker_asyncio.py", cluster.dsn, str(port), str(window)]
    subprocess.run(command, check=True)
    rate = rate_of(cluster)
    cluster.stop()
    return rate


def by_celery(port: int) -> float:
    table.note("sending: Celery + Redis + PostgreSQL")
    cluster = with_due_requests("sending-celery")
    folder = place.folder("redis")
    redis_port = process.free_port()
    # A queue that a power cut does not empty, as the others'.
    redis = process.Server(
        ["redis-server", "--port", redis_port, "--dir", folder, "--appendonly", "yes", "--appendfsync", "everysec"], redis_port, folder / "log"
    )
    environment = {
        **os.environ,
        "PEER_BROKER": f"redis://127.0.0.1:{redis_port}/0",
        "PEER_DSN": cluster.dsn,
        "PEER_GATEWAY_PORT": str(port),
        "PYTHONPATH": str(place.PYTHON_PEERS),
    }
    subprocess.run([peers.PYTHON, place.PYTHON_PEERS / "worker_celery.py"], check=True, env=environment)
    command = [peers.PYTHON, "-m", "celery", "-A", "worker_celery", "worker", "--concurrency", str(peers.WORKERS), "--loglevel", "WARNING"]
    with (folder / "worker.log").open("w") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        left, until = REQUESTS, time.monotonic() + STANDSTILL_S
        while left:
            before = left
            left = cluster.query("SELECT count(*) FROM request WHERE state <> 'COMPLETED'")[0]
            if left < before:
                until = time.monotonic() + STANDSTILL_S
            if worker.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the worker sends no more:\n{(folder / 'worker.log').read_text()[-2000:]}")
            time.sleep(0.5)
    finally:
        worker.terminate()
        worker.wait()
        redis.stop()
    rate = rate_of(cluster)
    cluster.stop()
    return rate
