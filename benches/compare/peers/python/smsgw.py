"""The frames of smsgw that both workers send and read: a u16 big-endian length before each."""

import datetime


def hello() -> bytes:
    return framed(b"\x00\x05SMSGW")


def pair_command(transaction: int, card: str, stb: str) -> bytes:
    today = datetime.datetime.now(datetime.UTC).date()
    first, last = today - datetime.timedelta(days=1), today + datetime.timedelta(days=30)
    head = f"{transaction:09}0112340005{67892:05}{today:%Y%m%d}"
    return framed(f"{head}N{first:%Y%m%d}{last:%Y%m%d}U{card[:10]}0052{int(stb):010}    ".encode())


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body


def transaction_of(answer: bytes) -> int:
    """The number that the answer echoes; anything but an acknowledgement is an error."""
    if answer[32:36] != b"1000":
        raise ValueError(f"the gateway answered {answer!r}")
    return int(answer[36:45])
