"""uvicorn, a process a worker, each with a listening socket of its own on one port, so that the kernel spreads the clients. With the one
socket of `uvicorn --workers` the worker that wakes first may take all clients of a burst.

usage: workers.py MODULE PORT WORKERS
"""

import multiprocessing
import signal
import socket
import sys

import uvicorn


def serve(module: str, port: int) -> None:
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    door.bind(("127.0.0.1", port))
    config = uvicorn.Config(f"{module}:app", log_level="warning", access_log=False)
    uvicorn.Server(config).run([door])


def main(module: str, port: str, workers: str) -> None:
    every = [multiprocessing.Process(target=serve, args=(module, int(port)), daemon=True) for _ in range(int(workers))]
    for worker in every:
        worker.start()
    # On the way out the workers are ended and waited for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    for worker in every:
        worker.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
