"""What nothing on this machine can be faster than, of the same run. tiny_http lets some of 64 clients wait while it serves the others:
its rate is of all of them, its p50 of those it served."""

from . import children, load, place, process, table

SECONDS = min(5, place.SECONDS)
# As long as the ledger's line of such a request.
LINE_BYTES = 450
# Name, words of the floor, whether it writes, clients.
SERVERS = (
    ("bare socket", "socket", False, (1, 64)),
    ("bare tiny_http", "http", False, (1, 64)),
    ("tiny_http that appends and syncs", "durable", True, (1,)),
    ("tiny_http, a sync for all that wait", "grouped", True, (64,)),
)


def show(own: dict[int, float]) -> None:
    """Beside pairbox's rates by its number of clients."""
    table.note("floors")
    folder = place.folder("floor")
    appends = float(children.run([place.FLOOR, "append", folder, SECONDS, LINE_BYTES]))
    rows = [[1, f"append + fdatasync of {LINE_BYTES} bytes", round(appends), "", "", own[1] / appends]]
    for name, word, writes, every in SERVERS:
        for clients in every:
            port = process.free_port()
            server = process.Server([place.FLOOR, word, port, *([folder, LINE_BYTES] if writes else [])], port, folder / "log")
            seen = load.run(port, clients, SECONDS)
            server.stop()
            rows.append([clients, name, round(seen.rate), seen.p50_us, seen.busy_us_each, own[clients] / seen.rate])
    table.show(f"Floors, {SECONDS} s each", ["clients", "", "a second", "p50 us", "us of both cores", "pairbox / it"], rows)
