"""What the kernel says of this machine and its processes, all from /proc."""

import os
from pathlib import Path

GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
ESTABLISHED, LISTENING = "01", "0A"
TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process, its children and theirs."""
    every = [pid]
    for parent in every:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                every += [int(child) for child in task.read_text().split()]
            except GONE:
                continue
    return every


def pss_kib(pid: int) -> int:
    """What it holds, its part of the pages that several share; 0 when it has ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except GONE:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def lacks(pid: int, library: Path) -> bool:
    """Whether it runs without the library; one that has ended needs none."""
    try:
        return str(library) not in Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def busy_us() -> int:
    """Processor time of all cores since the start, without what was idle, waited for a disk, or went to another guest."""
    user, nice, system, _idle, _iowait, irq, softirq = (int(word) for word in Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) * TICK_US


def listeners(port: int) -> int:
    return len(_sockets(port, LISTENING))


def connections(pid: int, port: int) -> int:
    """Clients of the port whom this process serves."""
    sockets, own = _sockets(port, ESTABLISHED), set()
    try:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            own.add(os.readlink(file))
    except GONE:
        pass
    return len(sockets & own)


def _sockets(port: int, state: str) -> set[str]:
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == state}
