"""The comparison: `python -m harness [accept] [slow] [bulk] [sending]`, by way of `benches/compare/run`."""

import sys
import time

from . import accept, bulk, sending, table
from .runs import Runs

JOBS = ("accept", "slow", "bulk", "sending")


def main(wanted: list[str]) -> None:
    wanted = wanted or list(JOBS)
    begun = time.monotonic()
    if "accept" in wanted or "slow" in wanted:
        runs = Runs()
        if "accept" in wanted:
            accept.run(runs)
        if "slow" in wanted:
            accept.run_slow(runs)
        accept.run_counts(runs)
    if "bulk" in wanted:
        bulk.run()
    if "sending" in wanted:
        sending.run()
    table.note(f"done in {time.monotonic() - begun:.0f} s")


main(sys.argv[1:])
