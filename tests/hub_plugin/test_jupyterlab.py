"""The real JupyterLab in the real sandbox behind the real proxy: its kernel computes, before and after the hub is killed."""

import asyncio
import json
import uuid

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.hub_plugin.fake_portal import grant
from tests.hub_plugin.running_hub import wait_for
from tests.hub_plugin.witness import Witness, observed_seconds, processes_with

pytestmark = [pytest.mark.hub, pytest.mark.slow]


async def run_in_kernel(socket, code):
    """Run code over an open kernel channel and return what it printed."""
    message_id = uuid.uuid4().hex
    header = {"msg_id": message_id, "msg_type": "execute_request", "username": "", "session": uuid.uuid4().hex, "date": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
    await socket.write_message(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}))
    printed = ""
    while True:
        raw = await asyncio.wait_for(socket.read_message(), 30)
        assert raw is not None, "the channel was closed"
        message = json.loads(raw)
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if message["msg_type"] == "stream":
            printed += message["content"]["text"]
        if message["msg_type"] == "error":
            printed += message["content"]["ename"]
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return printed


def test_notebook_kernel_survives_the_hub(make_hub):
    hub = make_hub(has_stub=False, patience_s=10.0)
    hub.make_user("u-1")
    notebook = {"path": "courses/lab.ipynb", "content_base64": "e30="}
    with Witness("AIHUB_SESSION=lab") as witness:
        answer = grant("lab", environment={"AIHUB_SESSION": "lab"}, files=[notebook], open_path="/lab/tree/courses/lab.ipynb")
        assert hub.launch("u-1", "s-1", hub.portal.issue("u-1", "s-1", answer)).status_code in {201, 202}
        wait_for(lambda: hub.is_ready("u-1", "s-1"), 60, "JupyterLab")
        asyncio.run(use_lab(hub))
        assert hub.end("u-1", "s-1").status_code in {202, 204}
        wait_for(lambda: hub.portal.of("lab", "exited"), 20, "the end's observation")
    assert hub.portal.of("lab", "exited")[0]["exit_code"] == 0, "it ended by itself when asked"
    assert abs(observed_seconds(hub.portal.of("lab")) - witness.seconds) < 1.0
    assert processes_with("AIHUB_SESSION=lab") == []


async def use_lab(hub):
    headers = {"Authorization": f"token {hub.user_token('u-1')}"}
    base = f"{hub.url}/user/u-1/s-1"
    page = hub.client.get(f"{base}/lab", headers=headers)
    assert (page.status_code, "JupyterLab" in page.text) == (200, True)
    assert hub.client.get(f"{base}/api/contents/courses/lab.ipynb", params={"content": 0}, headers=headers).status_code == 200
    kernel = hub.client.post(f"{base}/api/kernels", headers=headers, json={"name": "python3"}).json()["id"]
    socket = await websocket_connect(HTTPRequest(f"{base}/api/kernels/{kernel}/channels".replace("http", "ws", 1), headers=headers))
    try:
        assert await run_in_kernel(socket, "import numpy; x = int(numpy.arange(5).sum()); print(x)") == "10\n"
        assert await run_in_kernel(socket, "import os; print(os.getcwd(), os.environ['AIHUB_DEVICES'])") == "/home/u-1 sim-0\n"
        # The machine's loopback is shared: messages of the kernel must not pass where others could listen.
        transport = "from ipykernel.connect import get_connection_info; print(get_connection_info(unpack=True)['transport'])"
        assert await run_in_kernel(socket, transport) == "ipc\n"
        assert await run_in_kernel(socket, "import debugpy.server") == "ModuleNotFoundError"

        await asyncio.to_thread(hub.kill_hub)
        assert await run_in_kernel(socket, "x += 1; print(x)") == "11\n", "the open notebook goes on without the hub"
        await asyncio.to_thread(hub.start_hub)
        await asyncio.to_thread(wait_for, lambda: hub.is_ready("u-1", "s-1"), 30, "the server's return")
        assert await run_in_kernel(socket, "x += 1; print(x)") == "12\n"
    finally:
        socket.close()
