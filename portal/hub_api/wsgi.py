"""WSGI entry of the hub's API: `gunicorn portal.hub_api.wsgi:app`, a worker of its own."""

from portal.factory import create_hub_api_app

app = create_hub_api_app()
