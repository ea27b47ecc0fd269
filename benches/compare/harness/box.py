"""pairbox, set up as its README says."""

import json
import os
import re
import urllib.request
from pathlib import Path

from . import children, place, process, standstill

CONFIG = """\
data_dir = "data"
[http]
listen = "127.0.0.1:{port}"
[api]
error_status = "rest"
[[provider]]
name = "north"
family = "nagravision"
mapping = "smsgw"
address = "127.0.0.1:{gateway}"
smartcard_products = ["SC-*"]
stb_products = ["STB-*"]
{provider}
[provider.settings]
source_id = 1234
dest_id = 5
mop_ppid = 67892
"""


class Box:
    def __init__(self, folder: Path, items: int, gateway: int = 9, provider: str = ""):
        self.folder, self.port = folder, process.free_port()
        (folder / "data").mkdir(mode=0o700)
        (folder / "pairbox.toml").write_text(CONFIG.format(port=self.port, gateway=gateway, provider=provider))
        self.start()
        # What is accepted stays due until a job of the comparison lets it go.
        self.call("provider", "pause", "north", "--reason", "compare")
        for path in place.item_files(items):
            self.call("item", "import", path)
        (folder / "password").write_text("compare only")
        (folder / "password").chmod(0o600)
        self.call("user", "add", "crm", "--role", "crm", "--password-file", folder / "password")
        self.stop()

    def start(self, environment: dict | None = None, wait_s: float = 60) -> None:
        command = [place.PAIRBOX, "serve", "--config", self.folder / "pairbox.toml"]
        self.server = process.Server(command, self.port, self.folder / "log", environment, self.folder, wait_s=wait_s)

    def stop(self) -> None:
        self.server.stop()

    def call(self, *words) -> str:
        return children.run([place.PAIRBOX, *words, "--config", self.folder / "pairbox.toml"])

    def token(self) -> str:
        body = {"username": "crm", "password": "compare only", "organisation": "compare"}
        url = f"http://127.0.0.1:{self.port}/crmapi/rest/v2/authentication/token"
        with urllib.request.urlopen(url, json.dumps(body).encode()) as answer:
            return json.load(answer)["data"]["token"]

    def unfinished(self) -> int:
        requests = json.loads(self.call("status", "--output", "json"))["requests"]
        return requests["total"] - requests["completed"] - requests["rejected"]

    def wait_for_sent(self) -> None:
        # Looking costs the box something, so seldom.
        standstill.wait_for_none(self.unfinished, 0.5, self.folder / "log")

    def events(self):
        """Every line of the ledger's files, as they lie on the disk."""
        for path in sorted((self.folder / "data" / "ledger").iterdir()):
            if not path.is_file() or not re.search(rb'^\{"seq"', path.open("rb").read(6)):
                continue
            with path.open("rb") as file:
                for line in file:
                    if line.startswith(b"\0"):
                        break
                    yield line

    def count(self, event: bytes) -> int:
        return sum(event in line for line in self.events())
