"""Signed messages to the portal, in order and once, or with the faults that the network and Stripe really have."""

import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import stripe

from tests.fakes.stripe_server.store import Thing

RETRY_S = (1, 3, 10, 30)


@dataclass
class Faults:
    """Switches. late_s delays each message; the counters say how many of the next API calls fail, and how."""

    late_s: float = 0
    is_twice: bool = False
    is_shuffled: bool = False
    is_lost: bool = False
    too_many: int = 0
    broken: int = 0
    time_out: int = 0
    time_out_s: float = 25


@dataclass
class Sender:
    """Sends messages to `url`, signed with `secret`; None sends nothing."""

    url: str | None
    secret: str
    faults: Faults
    sent: list[tuple[str, int]] = field(default_factory=list)
    _waiting: list[Thing] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, event: Thing) -> None:
        """Send a message soon, as the switches say."""
        if self.url is None or self.faults.is_lost:
            return
        with self._lock:
            self._waiting += [event] * (2 if self.faults.is_twice else 1)
        threading.Timer(self.faults.late_s + (0.3 if self.faults.is_shuffled else 0), self._flush).start()

    def _flush(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        if self.faults.is_shuffled:
            random.shuffle(batch)
        for event in batch:
            self._send(event)

    def _send(self, event: Thing) -> None:
        for wait_s in (*RETRY_S, None):
            body = json.dumps(event, indent=2)
            headers = {"Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body, self.secret), "Content-Type": "application/json"}
            try:
                status = httpx.post(str(self.url), content=body.encode(), headers=headers, timeout=10).status_code
            except httpx.HTTPError:
                status = 0
            self.sent.append((event["type"], status))
            if 200 <= status < 300 or wait_s is None:
                return
            time.sleep(wait_s)


def described(faults: Faults) -> dict[str, Any]:
    """Return the switches, for the page that shows them."""
    return vars(faults)
