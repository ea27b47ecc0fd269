"""Where things are, and the data that all of them begin with."""

import os
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PYTHON_PEERS = HERE / "peers" / "python"
RUST_PEERS = Path(os.environ["COMPARE_PEERS"])
FLOOR = RUST_PEERS / "floor"
GATEWAY = RUST_PEERS / "gateway"
PAIRBOX = Path(os.environ["COMPARE_BINARY"]).resolve()
DATA = Path(os.environ["COMPARE_DIR"]).resolve()
SECONDS = int(os.environ.get("COMPARE_SECONDS", "20"))
ITEMS = 100_000
PAIR_PATH = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder"


def folder(name: str) -> Path:
    """An empty folder beside those of the others."""
    path = DATA / name
    try:
        if path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise SystemExit(f"{path} of an earlier run cannot be removed: {error}\nRemove it, or name another folder by COMPARE_DIR.") from error
    path.mkdir(parents=True)
    return path


def card_serial(at: int) -> str:
    return f"{19_000_000_000 + at * 1000:012}"


def stb_serial(at: int) -> str:
    return f"{46_100_000 + at * 13:010}"


def item_files(count: int) -> tuple[Path, Path]:
    """Vendors' files of so many cards and STBs: the serial number is the first column."""
    DATA.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, product, serial in (("cards", "SC-1", card_serial), ("stbs", "STB-1", stb_serial)):
        path = DATA / f"{kind}-{count}.csv"
        if not path.exists():
            rows = (f"{serial(at)},{kind}-{at},{product}\n" for at in range(count))
            write(path, "serial_number,alternative_code,product\n" + "".join(rows))
        paths.append(path)
    return paths[0], paths[1]


def row_file(rows: int) -> Path:
    """Rows of a bulk job: each card with its STB."""
    path = DATA / f"rows-{rows}.csv"
    write(path, "smartcard,stb\n" + "".join(f"{card_serial(at)},{stb_serial(at)}\n" for at in range(rows)))
    return path


def write(path: Path, text: str) -> None:
    """All of it or nothing: a run that is stopped leaves no half of a file."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)
