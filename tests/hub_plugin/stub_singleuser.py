"""A single-user server in small: answers under its prefix, reports activity, and runs what a test posts to it.

It stands where JupyterLab would, inside the sandbox, with everything a person's notebook could do.
"""

import contextlib
import io
import json
import os
import sys
import threading
import traceback
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

address = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith(prefix):
            self.answer(200, {"version": "stub", "environment": dict(os.environ), "pid": os.getpid()})
        else:
            self.answer(404, {})

    def do_POST(self):
        source = self.rfile.read(int(self.headers["Content-Length"])).decode()
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            try:
                exec(compile(source, "posted", "exec"), {})  # noqa: S102
            except BaseException:
                traceback.print_exc(file=output)
        self.answer(200, {"output": output.getvalue()})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def report_activity():
    now = datetime.now(UTC).isoformat()
    body = json.dumps({"servers": {os.environ["JUPYTERHUB_SERVER_NAME"]: {"last_activity": now}}, "last_activity": now}).encode()
    headers = {"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"], "Content-Type": "application/json"}
    try:
        urllib.request.urlopen(urllib.request.Request(os.environ["JUPYTERHUB_ACTIVITY_URL"], body, headers), timeout=5).close()
        print("activity reported", file=sys.stderr)
    except OSError as error:
        print("activity failed", error, file=sys.stderr)


server = ThreadingHTTPServer((address.hostname, address.port), Handler)
threading.Thread(target=report_activity, daemon=True).start()
server.serve_forever()
