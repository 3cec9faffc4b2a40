"""Objects as Stripe shows them: dicts by id, in the order of their making."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Thing = dict[str, Any]
KINDS = ("checkout.session", "payment_intent", "charge", "refund", "dispute", "event", "balance_transaction")
PREFIXES = {
    "checkout.session": "cs_test_",
    "payment_intent": "pi_",
    "charge": "ch_",
    "refund": "re_",
    "dispute": "dp_",
    "event": "evt_",
    "balance_transaction": "txn_",
}


class Missing(LookupError):
    """No such object."""


class Store:
    """All objects, behind one lock. path: where they are kept between starts, None for memory alone."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.things: dict[str, dict[str, Thing]] = {kind: {} for kind in KINDS}
        self.answers: dict[str, Thing] = {}
        if path is not None and path.exists():
            kept = json.loads(path.read_text())
            self.things |= kept["things"]
            self.answers = kept["answers"]

    def make(self, kind: str, **fields: Any) -> Thing:
        """Make an object and return it."""
        id_ = PREFIXES[kind] + secrets.token_hex(12)
        thing = {"id": id_, "object": kind, "created": int(time.time()), "livemode": False, "metadata": {}, **fields}
        self.things[kind][id_] = thing
        return thing

    def get(self, kind: str, id_: str) -> Thing:
        """Return an object. Raises Missing."""
        try:
            return self.things[kind][id_]
        except KeyError as error:
            raise Missing(f"No such {kind}: {id_!r}") from error

    def all(self, kind: str, **equal: Any) -> list[Thing]:
        """Return the objects whose fields equal, newest first."""
        return [thing for thing in reversed(self.things[kind].values()) if all(thing.get(name) == value for name, value in equal.items())]

    def save(self) -> None:
        """Keep everything."""
        if self.path is not None:
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps({"things": self.things, "answers": self.answers}))
            fresh.replace(self.path)

    def __iter__(self) -> Iterator[Thing]:
        for kind in KINDS:
            yield from self.things[kind].values()
