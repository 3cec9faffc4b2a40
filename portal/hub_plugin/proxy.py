"""How the proxy in front of hub and sessions is started: by whoever starts the hub, never by the hub.

A proxy of its own keeps open notebooks connected while the hub restarts.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit


def command(node: str, script: str, environment: Mapping[str, str]) -> list[str]:
    """Return the proxy's command line; its token comes to it as CONFIGPROXY_AUTH_TOKEN in its environment.

    node: the real node program, not a wrapper, so that ending the process ends the proxy.
    script: node_modules/configurable-http-proxy/bin/configurable-http-proxy.
    environment: holds HUB_URL, HUB_BIND and PROXY_API_URL (docs/hub-protocol.md).
    """
    public, api = urlsplit(environment["HUB_URL"]), urlsplit(environment["PROXY_API_URL"])
    hub = f"http://{environment['HUB_BIND']}"
    return [
        *(node, script),
        *("--ip", environment.get("PROXY_BIND", "127.0.0.1"), "--port", str(public.port or (443 if public.scheme == "https" else 80))),
        *("--api-ip", str(api.hostname), "--api-port", str(api.port or 80)),
        *("--default-target", hub, "--error-target", f"{hub}/hub/error"),
    ]
