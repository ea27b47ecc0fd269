"""Durable accepts over HTTP, side by side, and with a disk whose syncs take longer."""

from . import floors, place, table
from .runs import ROUND_S, Runs

SLOW_SYNC_US = 5_000
CLIENTS = (1, 16, 64)
CLIENTS_SLOW = (1, 64)
HEADER = ["clients", "", "req/s", "of the rounds", "p50 us", "p99 us", "us of both cores", "memory MiB", "pairbox / it"]


def run(runs: Runs) -> None:
    own = _show(runs, f"Durable accepts, two rounds of {ROUND_S} s each", CLIENTS)
    floors.show(own)


def run_slow(runs: Runs) -> None:
    environment = {"LD_PRELOAD": str(place.DATA / "slow_sync.so"), "SLOW_SYNC_US": str(SLOW_SYNC_US)}
    _show(runs, f"With {SLOW_SYNC_US // 1000} ms more for every sync, two rounds of {ROUND_S} s each", CLIENTS_SLOW, environment)


def run_counts(runs: Runs) -> None:
    table.note("counting what each has on its disk")
    table.show("Counted afterwards", ["", "acknowledged", "on its disk", "of them pending", "in the audit"], runs.counted())


def _show(runs: Runs, title: str, every: tuple, environment: dict | None = None) -> dict[int, float]:
    """The table, and pairbox's rates by the number of clients."""
    rows, own = [], {}
    for clients in every:
        seen = runs.side_by_side(clients, environment)
        own[clients] = seen["pairbox"].load.rate
        for name, found in seen.items():
            load = found.load
            spread = f"{found.lowest:,.0f} to {found.highest:,.0f}"
            ratio = own[clients] / load.rate
            rows.append(
                [clients, name, round(load.rate), spread, load.p50_us, load.p99_us, load.busy_us_each, round(found.memory_mib), ratio]
            )
    table.show(title, HEADER, rows)
    return own
