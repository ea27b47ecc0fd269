"""A Celery worker that sends all that is due, with Redis as its broker."""

import os

from . import children, peers, place, process, standstill
from .postgres import Cluster

# A process a core, as it comes; and as many in flight as the widest window of the others.
POOLS = (("prefork", 2), ("threads", 64))
LEFT = "SELECT count(*) FROM request WHERE state <> 'COMPLETED'"


def send_all(cluster: Cluster, gateway: int, pool: str, in_flight: int) -> None:
    folder = place.folder("redis")
    port = process.free_port()
    # The queue may lose its last second in a power cut; what is due stays due in PostgreSQL, and can be put on the queue again.
    command = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", folder, "--appendonly", "yes", "--appendfsync", "everysec"]
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
    standstill.wait_for_none(lambda: cluster.query(LEFT)[0], 0.5, folder / "worker.log")
    children.end(worker)
    redis.stop()
