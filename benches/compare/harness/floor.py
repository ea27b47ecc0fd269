"""The programs without a product: the floor and the gateway."""

from . import place

FLOOR = place.RUST_PEERS / "floor"
GATEWAY = place.RUST_PEERS / "gateway"
