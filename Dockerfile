# One build for portal, worker and hub; the session image is a target of its own.
#   docker build -t aihub-portal .                     the portal: gunicorn app:app
#   docker run … aihub-portal portal worker meter      a worker
#   docker build -t aihub-hub --target hub .           JupyterHub with our plug-in
#   docker build -t aihub-session --target session .   what runs in a person's session
FROM debian:bookworm-slim AS base
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv make git ca-certificates \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home --uid 10001 portal
WORKDIR /srv/portal
RUN chown portal:portal /srv/portal
USER portal

FROM base AS build
COPY --chown=portal:portal pyproject.toml uv.lock package.json package-lock.json Makefile README.md ./
RUN python3 -m venv .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check uv \
    && UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --frozen --no-install-project --no-dev --compile-bytecode --python .venv/bin/python
COPY --chown=portal:portal . .
RUN UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --frozen --no-dev --compile-bytecode --python .venv/bin/python \
    && touch .venv/.ready && make node_modules/.ready portal/web/static/manifest.json portal/translations/.ready

FROM build AS session
RUN make .venv-singleuser/.ready
ENV PATH=/srv/portal/.venv-singleuser/bin:/usr/bin:/bin
CMD ["jupyterhub-singleuser"]

FROM build AS hub
ENV PATH=/srv/portal/.venv/bin:/usr/bin:/bin
EXPOSE 8003
CMD ["jupyterhub", "-f", "jupyterhub_config.py"]

FROM build AS portal
ENV PATH=/srv/portal/.venv/bin:/usr/bin:/bin
EXPOSE 8000
CMD ["gunicorn", "app:app", "--workers", "2", "--bind", "0.0.0.0:8000", "--access-logfile", "-", "--no-control-socket"]
