"""Sends what is due from PostgreSQL: the intents of a whole window committed, then its frames, then its outcomes committed.

usage: worker_asyncio.py DSN PORT WINDOW
"""

import asyncio
import sys

import asyncpg

import smsgw

TAKE = """
    WITH due AS (
        SELECT id FROM request WHERE state = 'PENDING' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE request SET state = 'SENDING', transaction = request.id FROM due WHERE request.id = due.id
        RETURNING request.id, card_id, stb_id
    ), said AS (
        INSERT INTO audit (who, what, request_id, detail) SELECT 'worker', 'intent', id, 'transaction ' || id FROM taken
    )
    SELECT taken.id, card.serial_number AS card, stb.serial_number AS stb
    FROM taken JOIN card ON card.id = card_id JOIN stb ON stb.id = stb_id
"""
SETTLE = """
    WITH done AS (
        UPDATE request SET state = 'COMPLETED' WHERE id = ANY($1::bigint[]) RETURNING id
    )
    INSERT INTO audit (who, what, request_id, detail) SELECT 'worker', 'outcome', id, 'ok' FROM done
"""


async def main(dsn: str, port: str, window: str) -> None:
    database = await asyncpg.connect(dsn)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(smsgw.hello())
    await frame(reader)
    await frame(reader)
    while due := await database.fetch(TAKE, int(window)):
        for request in due:
            writer.write(smsgw.pair_command(request["id"], request["card"], request["stb"]))
        done = [smsgw.transaction_of(await frame(reader)) for _ in due]
        await database.execute(SETTLE, done)
    await database.close()


async def frame(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(length)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
