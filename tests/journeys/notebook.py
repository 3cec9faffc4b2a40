"""A person's JupyterLab through its own API: opened by the hub's single sign-on, code run in a real kernel."""

import asyncio
import json
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import httpx
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.journeys.browser import Browser


class CellFailed(AssertionError):
    """The code raised; the message is what the notebook would show."""


class Notebook:
    """One kernel in one session."""

    def __init__(self, browser: Browser, server_url: str) -> None:
        """Open the server at `server_url` (http://hub/user/u-1/s-1) with a browser that can sign in at the hub."""
        self._browser = browser
        self._url = server_url.rstrip("/")
        self._kernel_id = ""
        self._socket: WebSocketClientConnection | None = None
        self._loop = asyncio.new_event_loop()

    def open(self) -> "Notebook":
        """Go through the single sign-on and start a kernel."""
        self._browser.get(f"{self._url}/lab")
        answer = self._post("/api/kernels", {"name": "python3"})
        self._kernel_id = answer["id"]
        self._loop.run_until_complete(self._connect())
        return self

    def run(self, code: str, *, timeout_s: float = 60.0) -> str:
        """Run code and return what it printed. Raises CellFailed."""
        return self._loop.run_until_complete(self._run(code, timeout_s))

    def start(self, code: str) -> str:
        """Begin to run code and return the message id, for `finish`."""
        return self._loop.run_until_complete(self._send(code))

    def finish(self, message_id: str, *, timeout_s: float = 60.0) -> str:
        """Wait for code begun with `start` over the same connection and return what it printed."""
        return self._loop.run_until_complete(self._collect(message_id, timeout_s))

    def contents(self, path: str) -> dict[str, Any]:
        """Return a file of the home, as JupyterLab sees it."""
        answer: dict[str, Any] = self._client.get(f"{self._url}/api/contents/{path}").raise_for_status().json()
        return answer

    def close(self) -> None:
        """Close the connection; the kernel goes on."""
        if self._socket is not None:
            self._socket.close()
        self._loop.close()

    @property
    def _client(self) -> httpx.Client:
        return self._browser._client

    def _xsrf(self) -> str:
        # The hub and each server keep their own _xsrf cookie; the one with the longest path is the server's.
        path = urlsplit(self._url).path
        mine = [cookie for cookie in self._client.cookies.jar if cookie.name == "_xsrf" and path.startswith(cookie.path.rstrip("/"))]
        return max(mine, key=lambda cookie: len(cookie.path)).value or ""

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.post(f"{self._url}{path}", json=body, headers={"X-XSRFToken": self._xsrf(), "Accept": "application/json"})
        result: dict[str, Any] = answer.raise_for_status().json()
        return result

    async def _connect(self) -> None:
        request = self._client.build_request("GET", f"{self._url}/api/kernels/{self._kernel_id}/channels")
        origin = f"{urlsplit(self._url).scheme}://{urlsplit(self._url).netloc}"
        url = str(request.url).replace("http", "ws", 1) + f"?session_id={uuid.uuid4().hex}"
        self._socket = await websocket_connect(HTTPRequest(url, headers={"Cookie": request.headers["Cookie"], "Origin": origin}, connect_timeout=20))

    async def _run(self, code: str, timeout_s: float) -> str:
        return await self._collect(await self._send(code), timeout_s)

    async def _send(self, code: str) -> str:
        message_id = uuid.uuid4().hex
        header = {"msg_id": message_id, "username": "", "session": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        assert self._socket is not None
        await self._socket.write_message(
            json.dumps({"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content, "buffers": []})
        )
        return message_id

    async def _collect(self, message_id: str, timeout_s: float) -> str:
        printed: list[str] = []
        deadline = time.monotonic() + timeout_s
        while True:
            assert self._socket is not None
            raw = await asyncio.wait_for(self._socket.read_message(), max(0.1, deadline - time.monotonic()))
            if raw is None:
                raise CellFailed("the connection to the notebook was closed")
            message = json.loads(raw)
            if message.get("parent_header", {}).get("msg_id") != message_id:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                printed.append(content["text"])
            elif kind == "execute_result":
                printed.append(content["data"].get("text/plain", ""))
            elif kind == "error":
                raise CellFailed("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(printed)
