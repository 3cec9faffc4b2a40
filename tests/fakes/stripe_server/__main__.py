"""The stand-in as a process, for `make up`."""

import argparse
import os
from pathlib import Path

from werkzeug.serving import make_server

from tests.fakes.stripe_server.server import make_app


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--webhook", required=True)
    given = parser.parse_args()
    secret = os.environ["STRIPE_WEBHOOK_SECRETS"].split(",")[0]
    app = make_app(secret_key=os.environ["STRIPE_SECRET_KEY"], webhook_secret=secret, webhook_url=given.webhook, path=given.file)
    make_server("127.0.0.1", given.port, app, threaded=True).serve_forever()


main()
