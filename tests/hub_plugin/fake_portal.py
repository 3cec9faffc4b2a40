"""The portal's side of docs/hub-protocol.md in small: tickets, observations, leases, and a sign-in. Over real HTTP."""

import base64
import hashlib
import json
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.hub_plugin.witness import RUN

PLUGIN_KEY = "plugin-key-0123456789abcdef0123456789abcdef"
OIDC_SECRET = "oidc-secret-0123456789abcdef0123456789abcd"


def instant(at):
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def grant(session_id, **changes):
    """Return a grant as the portal words it."""
    return {
        "session_id": session_id,
        "generation": 1,
        "profile": "cpu-small",
        "devices": [{"id": "sim-0", "kind": "simulated", "paths": []}],
        "cpu_limit": 2.0,
        "memory_limit_bytes": 1 << 30,
        "environment": {"AIHUB_SESSION": session_id},
        "home": "u-1",
        "files": [],
        "open_path": "/lab",
        "held_until": instant(datetime.now(UTC) + timedelta(minutes=15)),
    } | changes


class FakePortal:
    """Issues tickets, keeps what the hub delivers, answers with leases; `stop` and `start` take it away and bring it back."""

    def __init__(self, port):
        self.port = port
        self.tickets = {}
        self.observations = {}
        self.redeemed = []
        self.batches = []
        self.stop_sessions = set()
        self.lease_minutes = 15
        self.signed_in_as = None
        self.is_sign_in_refused = False
        self.answer_instead = None
        self.codes = {}
        self.tokens = {}
        self.refresh_tokens = {}
        self.refreshed = 0
        self.sign_ins = 0
        self.stolen = []
        self.lock = threading.Lock()
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        portal = self

        class Handler(_Handler):
            fake = portal

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def issue(self, username, server, answer, *, valid_s=120):
        """Return a one-time ticket for this person, server and grant."""
        ticket = secrets.token_urlsafe(32)
        with self.lock:
            self.tickets[ticket] = {
                "username": username,
                "server": server,
                "grant": answer | {"environment": answer["environment"] | RUN},
                "used": False,
                "expires_at": datetime.now(UTC) + timedelta(seconds=valid_s),
            }
        return ticket

    def of(self, session_id, kind=None):
        """Return what is known of a session, in offset order."""
        with self.lock:
            found = [observation for _, observation in sorted(self.observations.items()) if observation["session_id"] == session_id]
        return [observation for observation in found if kind in {None, observation["kind"]}]

    def redeem(self, body):
        with self.lock:
            ticket = self.tickets.get(body.get("ticket"))
            if ticket is None:
                return 403, {"code": "ticket_unknown"}
            if (ticket["username"], ticket["server"]) != (body.get("username"), body.get("server")):
                return 403, {"code": "ticket_not_yours"}
            if ticket["used"]:
                return 403, {"code": "ticket_used"}
            if datetime.now(UTC) > ticket["expires_at"]:
                return 403, {"code": "ticket_expired"}
            ticket["used"] = True
            self.redeemed.append(body["ticket"])
            return 200, ticket["grant"]

    def observe(self, body):
        with self.lock:
            offsets = [observation["offset"] for observation in body["observations"]]
            assert offsets == sorted(offsets)
            assert len(offsets) <= 500
            self.batches.append((body["agent"], offsets))
            for observation in body["observations"]:
                key = (body["agent"], observation["offset"])
                assert self.observations.setdefault(key, observation) == observation, "one offset, two contents"
            running = {}
            for _, observation in sorted(self.observations.items()):
                running[observation["session_id"]] = observation["kind"] != "exited"
            until = instant(datetime.now(UTC) + timedelta(minutes=self.lease_minutes))
            leases = {name: {"held_until": until, "stop": name in self.stop_sessions} for name, is_running in running.items() if is_running}
            return 200, {"acknowledged_offset": offsets[-1], "leases": leases}


class _Handler(BaseHTTPRequestHandler):
    fake: FakePortal
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        if path == "/oauth/token":
            return self.token(parse_qs(raw.decode()))
        if self.headers.get("Authorization") != f"Bearer {PLUGIN_KEY}":
            return self.answer(401, {"code": "key_wrong"})
        if self.fake.answer_instead is not None:
            return self.answer(*self.fake.answer_instead)
        body = json.loads(raw)
        if path == "/hub-api/v1/tickets/redeem":
            return self.answer(*self.fake.redeem(body))
        if path == "/hub-api/v1/observations":
            return self.answer(*self.fake.observe(body))
        return self.answer(404, {"code": "not_found"})

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/oauth/authorize":
            return self.authorize(query)
        if parts.path == "/oauth/userinfo":
            slug = self.fake.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
            if slug is None or self.fake.is_sign_in_refused:
                return self.answer(401, {"error": "invalid_token"})
            return self.answer(200, {"sub": slug, "preferred_username": slug, "groups": ["founder"]})
        return self.answer(200, {"page": parts.path})

    def authorize(self, query):
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == "jupyterhub"
        assert set(query["scope"].split()) == {"openid", "profile", "groups"}
        if self.fake.signed_in_as is None or self.fake.is_sign_in_refused:
            return self.answer(403, {"error": "access_denied"})
        code = secrets.token_urlsafe(16)
        self.fake.sign_ins += 1
        self.fake.codes[code] = (self.fake.signed_in_as, query["code_challenge"], query["redirect_uri"])
        self.send_response(302)
        self.send_header("Location", query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]}))
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def token(self, form):
        expected = "Basic " + base64.b64encode(f"jupyterhub:{OIDC_SECRET}".encode()).decode()
        if form["grant_type"] == ["refresh_token"]:
            return self.refresh(form["refresh_token"][0])
        slug, challenge, redirect_uri = self.fake.codes.pop(form["code"][0], (None, None, None))
        verifier = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"][0].encode()).digest()).rstrip(b"=").decode()
        if self.headers.get("Authorization") != expected or slug is None or verifier != challenge or form["redirect_uri"][0] != redirect_uri:
            return self.answer(400, {"error": "invalid_grant"})
        return self.hand_out(slug)

    def refresh(self, token):
        """Good for once; a second use looks like theft and ends everything that came of it."""
        with self.fake.lock:
            known = self.fake.refresh_tokens.get(token)
            if self.fake.is_sign_in_refused:
                return self.answer(400, {"error": "invalid_grant"})
            if known is None or known["used"]:
                self.fake.stolen.append(token)
                self.fake.refresh_tokens.clear()
                self.fake.tokens.clear()
                return self.answer(400, {"error": "invalid_grant"})
            known["used"] = True
            self.fake.refreshed += 1
        time.sleep(0.2)
        return self.hand_out(known["slug"])

    def hand_out(self, slug):
        access, renewal = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self.fake.tokens[access] = slug
        self.fake.refresh_tokens[renewal] = {"slug": slug, "used": False}
        return self.answer(200, {"access_token": access, "token_type": "Bearer", "expires_in": 300, "refresh_token": renewal})

    def answer(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass
