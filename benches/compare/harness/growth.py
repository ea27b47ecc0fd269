"""One box that holds more and more: half of the items are cards, half STBs; each card was paired and unpaired, and the CAS confirmed it."""

import http.client
import json
import random
import shutil
import statistics
import sys
import time
import urllib.parse

from . import load, place, plot, process, table
from .box import Box

COUNTS = (10_000, 1_000_000, 5_000_000)
# A card has at most 64 unfinished requests: with fewer items, or for longer, the accepts would be refused.
SECONDS = 1
ROUNDS = 3
CLIENTS = 64
COUNT_MIN = 10_000
# 13 GiB for 5 million.
BYTES_EACH = 2_800
START_S = 600
LOOKS = 300
LIST_PATH = "/crmapi/rest/v2/nagravision/provisioning_requests/list"
SHOW_PATH = "/crmapi/rest/v2/nagravision/provisioning_requests/show"


def main(counts: list[int]) -> None:
    place.folder("growth")
    require_space(max(counts))
    folder = place.folder("growth-gateway")
    port = process.free_port()
    gateway = process.Server([place.GATEWAY, port], port, folder / "log")
    found = [measure(count, port) for count in counts]
    gateway.stop()
    names = list(found[0])
    table.show("Growth", ["", *(f"{count:,}" for count in counts)], [[name, *(one[name] for one in found)] for name in names])
    print(f"\n{plot.draw(counts, found)}")


def require_space(count: int) -> None:
    needed, free = count * BYTES_EACH / 2**30, shutil.disk_usage(place.DATA).free / 2**30
    if free < needed:
        raise SystemExit(f"{count:,} items and requests need {needed:.1f} GiB in {place.DATA}, which has {free:.1f} GiB; COMPARE_DIR names another folder")


def measure(count: int, gateway: int) -> dict:
    items = count // 2
    table.note(f"{count:,}: items")
    begun = time.monotonic()
    box = Box(place.folder("growth"), items, gateway)
    imported = time.monotonic() - begun
    box.start()
    rows = place.row_file(items)
    rows_took = sent = 0.0
    for script in ("pair_from_csv", "unpair_from_csv"):
        table.note(f"{count:,}: {script}")
        begun = time.monotonic()
        box.call("run", script, "--input", rows, "--rate", "0")
        rows_took += time.monotonic() - begun
        table.note(f"{count:,}: sending")
        begun = time.monotonic()
        box.call("provider", "resume", "north")
        box.wait_for_sent()
        sent += time.monotonic() - begun
        box.call("provider", "pause", "north", "--reason", "growth")
    rows.unlink()
    box.stop()

    table.note(f"{count:,}: start")
    started = start(box)
    idle = box.server.memory_mib()
    table.note(f"{count:,}: list and show")
    lists, shows = looks(box, count)
    table.note(f"{count:,}: accepts")
    accepts = accept(box, items)
    busy = box.server.memory_mib()
    box.stop()

    table.note(f"{count:,}: rebuild")
    shutil.rmtree(box.folder / "data" / "state")
    rebuilt = start(box)
    events = sum(1 for _ in box.events())
    after = box.server.memory_mib()
    box.stop()
    ledger = sum(path.stat().st_size for path in (box.folder / "data" / "ledger").iterdir()) / 2**20
    state = sum(path.stat().st_size for path in (box.folder / "data" / "state").rglob("*") if path.is_file()) / 2**20
    return {
        "items imported a second": round(count / imported),
        "rows of a job a second": round(count / rows_took),
        "sent a second": round(count / sent),
        "accepts a second, 64 clients": round(statistics.median(load.rate for load in accepts)),
        "accepts, p99 us": statistics.median(load.p99_us for load in accepts),
        "unfinished requests a card after them": sum(load.requests for load in accepts) / items,
        "start, s": started,
        "memory after the start, MiB": round(idle),
        "memory after the accepts, MiB": round(busy),
        "rebuild, s": rebuilt,
        "rebuild, events a second": round(events / rebuilt),
        "memory after the rebuild, MiB": round(after),
        "list of 100, p50 ms": lists[0],
        "list of 100, p99 ms": lists[1],
        "show, p50 ms": shows[0],
        "show, p99 ms": shows[1],
        "events": events,
        "ledger, MiB": round(ledger),
        "state, MiB": round(state),
    }


def start(box: Box) -> float:
    """Seconds until it says that it is ready."""
    begun = time.monotonic()
    box.start(wait_s=START_S)
    while time.monotonic() - begun < START_S:
        client = http.client.HTTPConnection("127.0.0.1", box.port, timeout=60)
        client.request("GET", "/readyz")
        answer = client.getresponse()
        if answer.status == 200:
            return time.monotonic() - begun
        said = answer.read()
        client.close()
        time.sleep(0.01)
    box.server.fail(f"is not ready after {START_S} s: /readyz answers {answer.status} {said}")


def accept(box: Box, items: int) -> list[load.Load]:
    """Short ones, so that no size of the box has many more unfinished requests on a card than another."""
    token, first, loads = box.token(), 0, []
    for _ in range(ROUNDS):
        loads.append(load.run(box.port, CLIENTS, SECONDS, first, token, items))
        first = loads[-1].next
    return loads


def looks(box: Box, count: int) -> tuple:
    token = box.token()
    client = http.client.HTTPConnection("127.0.0.1", box.port, timeout=60)
    chance = random.Random(1)
    times: dict = {"list": [], "show": []}
    for _ in range(LOOKS):
        number = chance.randint(1, count)
        asked = {
            "list": (LIST_PATH, {"number_of_results": 100, "cursor": max(0, number - 100)}),
            "show": (SHOW_PATH, {"provisioning_request_identifier": f"number={number}"}),
        }
        for name, (path, query) in asked.items():
            begun = time.monotonic()
            client.request("GET", f"{path}?{urllib.parse.urlencode({'token': token, **query}, safe='=')}")
            answer = json.load(client.getresponse())
            times[name].append((time.monotonic() - begun) * 1e3)
            if answer["status"]["code"] != "OK" or not answer["data"]:
                raise SystemExit(f"{name} answers {answer}")
    return tuple((statistics.median(seen), sorted(seen)[int(len(seen) * 0.99)]) for seen in times.values())


asked = [int(count) for count in sys.argv[1:]] or list(COUNTS)
if min(asked) < COUNT_MIN:
    raise SystemExit(f"expected counts of {COUNT_MIN} and more, found {min(asked)}")
main(asked)
