"""The peers and all that they acknowledged: each cell of a table is two rounds, the second in reverse order, so that none is always first."""

from dataclasses import dataclass

from . import load, peers, place, table

ROUND_S = max(1, place.SECONDS // 2)
# So often a run is begun again whose clients were not spread over the peer's workers.
TRIES = 5


@dataclass
class Found:
    load: load.Load
    lowest: float
    highest: float
    memory_mib: float


class Runs:
    def __init__(self):
        table.note("every peer gets 100,000 cards and STBs")
        self.peers = [kind() for kind in peers.ALL]
        self.acknowledged = {peer.name: 0 for peer in self.peers}
        # What was under way when a run ended may be kept or not.
        self.open = {peer.name: 0 for peer in self.peers}
        # The same bodies for each, and none twice.
        self.next = {peer.name: 0 for peer in self.peers}

    def side_by_side(self, clients: int, environment: dict | None = None) -> dict[str, Found]:
        rounds = {peer.name: [] for peer in self.peers}
        for peer in [*self.peers, *reversed(self.peers)]:
            rounds[peer.name].append(self._measure(peer, clients, environment))
        found = {}
        for name, both in rounds.items():
            rates = [seen.rate for seen, _ in both]
            memory = max(memory for _, memory in both)
            found[name] = Found(load.together([seen for seen, _ in both]), min(rates), max(rates), memory)
        return found

    def _measure(self, peer, clients: int, environment: dict | None) -> tuple[load.Load, float]:
        for _ in range(TRIES):
            table.note(f"{peer.name}, {clients} clients")
            peer.start(environment)
            try:
                shares = []
                look = (lambda: shares.extend(peer.server.shares())) if peer.workers > 1 else None
                seen = load.run(peer.port, clients, ROUND_S, self.next[peer.name], peer.token, look=look)
                memory = peer.memory_mib()
            finally:
                peer.stop()
            self.acknowledged[peer.name] += seen.requests
            self.open[peer.name] += clients
            self.next[peer.name] = seen.next
            if peer.workers == 1 or clients == 1 or (len(shares) == peer.workers and 2 * min(shares) >= max(shares)):
                return seen, memory
            table.note(f"{peer.name}: its workers had {' and '.join(str(share) for share in shares)} clients; again")
        raise SystemExit(f"{peer.name}: its clients were not spread over its workers, {TRIES} times")

    def counted(self) -> list[list]:
        rows = []
        for peer in self.peers:
            requests, pending, audit = peer.count()
            acknowledged = self.acknowledged[peer.name]
            if not acknowledged <= requests <= acknowledged + self.open[peer.name] or not requests == pending == audit:
                raise SystemExit(
                    f"{peer.name} acknowledged {acknowledged} requests and holds {requests}, {pending} of them pending, with {audit} entries of the audit"
                )
            rows.append([peer.name, acknowledged, requests, pending, audit])
        return rows
