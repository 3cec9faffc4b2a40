"""The application, and a server of it in a thread or a process."""

import threading
from pathlib import Path
from typing import Self

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from tests.fakes.stripe_server import api, pages
from tests.fakes.stripe_server.ledger import Ledger
from tests.fakes.stripe_server.store import Store
from tests.fakes.stripe_server.webhooks import Faults, Sender


def make_app(*, secret_key: str, webhook_secret: str, webhook_url: str | None, path: Path | None = None) -> Flask:
    """Return the stand-in as a WSGI application."""
    app = Flask("stripe_server", root_path=str(Path(__file__).resolve().parent))
    app.config["SECRET"] = secret_key
    store, faults = Store(path), Faults()
    sender = Sender(webhook_url, webhook_secret, faults)
    app.extensions |= {"store": store, "faults": faults, "sender": sender, "ledger": Ledger(store, sender.tell)}
    app.register_blueprint(api.blueprint)
    app.register_blueprint(pages.blueprint)
    return app


class StripeServer:
    """The stand-in in a thread of this process, for tests."""

    def __init__(self, *, secret_key: str, webhook_secret: str, webhook_url: str | None = None) -> None:
        self.app = make_app(secret_key=secret_key, webhook_secret=webhook_secret, webhook_url=webhook_url)
        self._server: BaseWSGIServer = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def ledger(self) -> Ledger:
        """Return what acts on its objects."""
        found: Ledger = self.app.extensions["ledger"]
        return found

    @property
    def store(self) -> Store:
        """Return its objects."""
        found: Store = self.app.extensions["store"]
        return found

    @property
    def faults(self) -> Faults:
        """Return its switches."""
        found: Faults = self.app.extensions["faults"]
        return found

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
