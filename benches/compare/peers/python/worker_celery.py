"""A Celery task a request: its intent committed, one frame and its answer, its outcome committed. Each process, or thread of the
pool, has its own connections.

The broker is PEER_BROKER, the database PEER_DSN, the gateway PEER_GATEWAY_PORT. `worker_celery.py` itself puts a task on the
queue for each due request.
"""

import os
import socket
import threading

import psycopg
from celery import Celery

import smsgw

app = Celery("peer", broker=os.environ["PEER_BROKER"])
app.conf.task_ignore_result = True
# A worker that dies loses no task.
app.conf.task_acks_late = True

own = threading.local()


def connect() -> None:
    if not hasattr(own, "database"):
        own.database = psycopg.connect(os.environ["PEER_DSN"])
        connection = socket.create_connection(("127.0.0.1", int(os.environ["PEER_GATEWAY_PORT"])))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own.gateway = connection.makefile("rwb")
        exchange(smsgw.hello())
        frame()


def exchange(sent: bytes) -> bytes:
    own.gateway.write(sent)
    own.gateway.flush()
    return frame()


def frame() -> bytes:
    return own.gateway.read(int.from_bytes(own.gateway.read(2), "big"))


@app.task(name="send")
def send(request: int) -> None:
    connect()
    card, stb = own.database.execute(
        """
        WITH taken AS (
            UPDATE request SET state = 'SENDING', transaction = id WHERE id = %(id)s AND state = 'PENDING' RETURNING card_id, stb_id
        ), said AS (
            INSERT INTO audit (who, what, request_id, detail) SELECT 'worker', 'intent', %(id)s, 'transaction ' || %(id)s FROM taken
        )
        SELECT card.serial_number, stb.serial_number FROM taken JOIN card ON card.id = card_id JOIN stb ON stb.id = stb_id
        """,
        {"id": request},
    ).fetchone()
    own.database.commit()
    smsgw.transaction_of(exchange(smsgw.pair_command(request, card, stb)))
    own.database.execute("UPDATE request SET state = 'COMPLETED' WHERE id = %s", (request,))
    own.database.execute("INSERT INTO audit (who, what, request_id, detail) VALUES ('worker', 'outcome', %s, 'ok')", (request,))
    own.database.commit()


def enqueue() -> None:
    with psycopg.connect(os.environ["PEER_DSN"]) as due, app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for (request,) in due.execute("SELECT id FROM request WHERE state = 'PENDING' ORDER BY id"):
            send.apply_async((request,), producer=producer)


if __name__ == "__main__":
    enqueue()
