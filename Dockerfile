# The service, and (--target tools) the same with git, gpg and curl for jobs that rotate repositories or need PGP keys.
#
#   docker build -t ksecret .
#   docker build -t ksecret-tools --target tools .
#
# scripts/lock writes the digest of the base, and the versions and hashes of all that is installed on it.
#
# python:3.12-slim and not distroless: both stages share one image of a default name whose Python is the same to the
# byte, so what pip installed fits; distroless brings a Python of its own choosing from a registry of its own. The shell
# that slim has is not used: every ENTRYPOINT, CMD and health check is an exec form, and nothing is installed into the
# service's stage.
ARG BASE=python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY deploy/requirements.txt deploy/requirements-build.txt deploy/
RUN python -m venv /opt/ksecret \
 && /opt/ksecret/bin/pip install --require-hashes --no-deps -r deploy/requirements.txt \
 && python -m pip install --require-hashes --no-deps -r deploy/requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY docs/ksecret-yaml.schema.json docs/
COPY packages packages
COPY secretsvc secretsvc
# The root is read-only where it runs, so everything is compiled here; and nobody installs anything there.
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /opt/ksecret/bin/pip install --no-deps --no-index /wheel/*.whl \
 && /opt/ksecret/bin/pip uninstall --yes pip \
 && /usr/local/bin/python -m compileall -q /opt/ksecret/lib

# moto and the Cloud KMS emulator, for docker-compose.yaml. Nothing in it protects anything.
FROM build AS emulators
COPY tests tests
# The bounds are pyproject.toml's.
# hadolint ignore=DL3013
RUN python -m pip install '.[dev]'
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["python", "-m"]

FROM ${BASE} AS runtime
COPY --from=build /opt/ksecret /opt/ksecret
# Python writes nothing, prints at once, and imports nothing from where it happens to stand.
ENV PATH=/opt/ksecret/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 HOME=/tmp
WORKDIR /
ENTRYPOINT ["/opt/ksecret/bin/ksecret"]
CMD ["serve", "--config", "/etc/ksecret/config.yaml"]

FROM runtime AS tools
# Debian's own versions of the release that the base image is, which get its security fixes
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl git gnupg \
 && rm -rf /var/lib/apt/lists/*
USER 65532:65532

FROM runtime AS service
EXPOSE 8200
USER 65532:65532
