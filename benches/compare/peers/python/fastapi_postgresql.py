"""FastAPI + PostgreSQL: asyncpg, a pool of connections, one transaction a call.

The database is PEER_DSN, made by schema_postgresql.sql.
"""

import os
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, HTTPException

from pair_call import PATH, PairCall


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["PEER_DSN"], min_size=4, max_size=16) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post(PATH)
async def pair(call: PairCall):
    card_serial = call.smartcard_identifier.serial_number
    stb_serial = call.stb_identifier.serial_number
    async with app.state.pool.acquire() as database, database.transaction():
        items = await database.fetchrow(
            "SELECT (SELECT id FROM card WHERE serial_number = $1) AS card, (SELECT id FROM stb WHERE serial_number = $2) AS stb",
            card_serial,
            stb_serial,
        )
        if items["card"] is None:
            raise HTTPException(404, f"no card {card_serial}")
        if items["stb"] is None:
            raise HTTPException(404, f"no STB {stb_serial}")
        request = await database.fetchval(
            "INSERT INTO request (card_id, stb_id, state) VALUES ($1, $2, 'PENDING') RETURNING id", items["card"], items["stb"]
        )
        await database.execute(
            "INSERT INTO audit (who, what, request_id, detail) VALUES ('crm', 'accepted', $1, $2)",
            request,
            f"pair {card_serial} with {stb_serial}",
        )
    return {"id": request}
