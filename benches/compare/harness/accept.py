"""Durable accepts over HTTP, side by side, and with a disk whose syncs take longer."""

import subprocess

from . import load, peers, place, process, table

SLOW_SYNC_US = 5_000
CLIENTS = (1, 16, 64)
# As long as the ledger's line of such a request.
LINE_BYTES = "450"


class Runs:
    """The peers with all that they acknowledged so far."""

    def __init__(self):
        table.note("every peer gets 100,000 cards and STBs")
        self.peers = [kind() for kind in peers.ALL]
        self.acknowledged = {peer.name: 0 for peer in self.peers}
        # What was under way when a run ended may be kept or not.
        self.open = {peer.name: 0 for peer in self.peers}
        self.next = 0

    def measure(self, peer, clients: int, environment=None):
        table.note(f"{peer.name}, {clients} clients")
        peer.start(environment)
        try:
            seen = load.run(peer.port, clients, place.SECONDS, self.next, token=peer.token)
            memory = peer.memory_mib()
        finally:
            peer.stop()
        self.acknowledged[peer.name] += seen.requests
        self.open[peer.name] += clients
        return seen, memory

    def counted(self) -> list[list]:
        rows = []
        for peer in self.peers:
            requests, audit = peer.count()
            acknowledged = self.acknowledged[peer.name]
            if not acknowledged <= requests <= acknowledged + self.open[peer.name] or audit != requests:
                raise SystemExit(f"{peer.name} acknowledged {acknowledged} requests and holds {requests}, with {audit} entries of the audit")
            rows.append([peer.name, acknowledged, requests])
        return rows


def floors() -> dict:
    """Rates with one client: an append with its sync alone, and behind bare tiny_http."""
    folder = place.folder("floor")
    rates = {"append": float(subprocess.run([place.FLOOR, "append", folder, "5", LINE_BYTES], check=True, capture_output=True, text=True).stdout)}
    for name, words in (("socket", ["socket"]), ("http", ["http"]), ("durable", ["durable"])):
        port = process.free_port()
        more = [folder, LINE_BYTES] if name == "durable" else []
        server = process.Server([place.FLOOR, *words, port, *more], port, folder / "log")
        rates[name] = load.run(port, 1, 5, 0)
        if name == "socket":
            rates["socket 64"] = load.run(port, 64, 5, 0)
        server.stop()
    return rates


def run(runs: Runs) -> None:
    table.note("floors")
    floor = floors()
    rows = []
    for clients in CLIENTS:
        seen = {peer.name: runs.measure(peer, clients) for peer in runs.peers}
        own = seen["pairbox"][0].rate
        for name, (found, memory) in seen.items():
            rows.append([clients, name, round(found.rate), found.p50_us, found.p99_us, round(memory), own / found.rate])
    table.show(
        f"Durable accepts, {place.SECONDS} s each",
        ["clients", "", "req/s", "p50 us", "p99 us", "memory MiB", "pairbox / it"],
        rows,
    )
    one = next(row[2] for row in rows if row[:2] == [1, "pairbox"])
    durable = floor["durable"].rate
    table.show(
        "Floors of the same run, one client unless said",
        ["", "a second", "p50 us", "pairbox / it"],
        [
            [f"append + fdatasync of {LINE_BYTES} bytes", round(floor["append"]), "", one / floor["append"]],
            ["bare socket", round(floor["socket"].rate), floor["socket"].p50_us, one / floor["socket"].rate],
            ["bare socket, 64 clients", round(floor["socket 64"].rate), floor["socket 64"].p50_us, ""],
            ["bare tiny_http", round(floor["http"].rate), floor["http"].p50_us, one / floor["http"].rate],
            ["tiny_http that appends and syncs", round(durable), floor["durable"].p50_us, one / durable],
        ],
    )


def run_slow(runs: Runs) -> None:
    environment = {"LD_PRELOAD": str(place.DATA / "slow_sync.so"), "SLOW_SYNC_US": str(SLOW_SYNC_US)}
    rows = []
    for clients in (1, 64):
        seen = {peer.name: runs.measure(peer, clients, environment)[0] for peer in runs.peers}
        own = seen["pairbox"].rate
        rows += [[clients, name, round(found.rate), found.p50_us, found.p99_us, own / found.rate] for name, found in seen.items()]
    table.show(f"With {SLOW_SYNC_US // 1000} ms more for every sync", ["clients", "", "req/s", "p50 us", "p99 us", "pairbox / it"], rows)


def run_counts(runs: Runs) -> None:
    table.note("counting what each has on its disk")
    table.show("Counted afterwards", ["", "acknowledged", "on its disk"], runs.counted())
