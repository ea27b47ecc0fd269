"""A Celery worker that sends all that is due, with Redis as its broker."""

import os
import time

from . import children, peers, place, process
from .postgres import Cluster

# A process a core, as it comes; and as many in flight as the widest window of the others.
POOLS = (("prefork", 2), ("threads", 64))
# A worker that completes nothing for so long never will.
STANDSTILL_S = 60
LEFT = "SELECT count(*) FROM request WHERE state <> 'COMPLETED'"


def send_all(cluster: Cluster, gateway: int, pool: str, in_flight: int) -> None:
    folder = place.folder("redis")
    port = process.free_port()
    # The queue may lose its last second in a power cut; what is due stays due in PostgreSQL, and can be put on the queue again.
    command = ["redis-server", "--port", port, "--dir", folder, "--appendonly", "yes", "--appendfsync", "everysec"]
    redis = process.Server(command, port, folder / "log")
    environment = {
        **os.environ,
        "PEER_BROKER": f"redis://127.0.0.1:{port}/0",
        "PEER_DSN": cluster.dsn,
        "PEER_GATEWAY_PORT": str(gateway),
        "PYTHONPATH": str(place.PYTHON_PEERS),
    }
    children.run([peers.PYTHON, place.PYTHON_PEERS / "worker_celery.py"], env=environment)
    command = [peers.PYTHON, "-m", "celery", "-A", "worker_celery", "worker", "--pool", pool, "--concurrency", in_flight, "--loglevel", "WARNING"]
    with (folder / "worker.log").open("w") as log:
        worker = children.begin(command, env=environment, stdout=log, stderr=log, cwd=folder)
    left, until = cluster.query(LEFT)[0], time.monotonic() + STANDSTILL_S
    while left:
        time.sleep(0.5)
        before, left = left, cluster.query(LEFT)[0]
        if left < before:
            until = time.monotonic() + STANDSTILL_S
        if worker.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"the worker sends no more:\n{(folder / 'worker.log').read_text()[-2000:]}")
    children.end(worker)
    redis.stop()
