# syntax=docker/dockerfile:1
# Dailies in one of two variants:
#   roles      planner, aggregator, decoder, inference of the group signals, every command; neither torch nor CUDA
#   networks   inference of the group networks, on NVIDIA GPUs (CUDA's libraries come with torch) or on the CPU
#
#   docker build --build-arg VARIANT=roles -t dailies:0.1.0 .
#   docker build --build-arg VARIANT=networks -t dailies-networks:0.1.0 .
#
# Pin the base by its digest where you build: --build-arg PYTHON=python:3.11-slim-bookworm@sha256:… A package index of your own is told by a
# secret that leaves no trace in the image: --secret id=pip,src=pip.conf
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ARG VARIANT=roles
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1
RUN python -m venv --without-pip /opt/dailies && python -m venv /opt/build
COPY docker/build.lock docker/${VARIANT}.lock ./docker/
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/build/bin/pip install --quiet --require-hashes --no-deps -r docker/build.lock \
    && /opt/build/bin/pip --python /opt/dailies/bin/python install --quiet --require-hashes --no-deps --only-binary :all: \
        -r docker/${VARIANT}.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY processors ./processors
COPY streams ./streams
COPY bench ./bench
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /wheel . \
    && /opt/build/bin/pip --python /opt/dailies/bin/python install --quiet --no-deps --no-index /wheel/*.whl \
    # Torch's own tests hold syntax of later Pythons.
    && /opt/dailies/bin/python -m compileall -q -x /torch/testing/ /opt/dailies/lib

FROM ${PYTHON}
RUN groupadd --gid 10001 dailies \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dailies \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/dailies /var/cache/dailies \
    && rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/*
COPY --from=build /opt/dailies /opt/dailies
ENV PATH=/opt/dailies/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/var/cache/dailies \
    DAILIES_DATA_DIR=/var/lib/dailies DAILIES_HEALTH_BIND=0.0.0.0 DAILIES_HEALTH_PORT=9600
WORKDIR /var/lib/dailies
USER 10001:10001
EXPOSE 9600
# For engines that look at it; under Kubernetes the probes of the manifests count.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9600/live', timeout=3)"]
ENTRYPOINT ["dailies"]
CMD ["--help"]
