# runqy-loader in a small image, as a user without rights. Two targets:
#   docker build -t runqy-loader .                              the tool: docker run runqy-loader load …
#   docker build -t runqy-loader-serve --target serve .         the HTTP gateway, with a health check
# EXTRAS are those of the README's table; the defaults need no compiler and 30 MB.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=http,pace,serve,shape,yaml,zstd
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY .ci/constraints .ci/
COPY loader loader
COPY runqy_loader runqy_loader
# The versions are those of the lock file, which the tests ran with.
RUN .ci/constraints >/tmp/constraints.txt \
    && python -m venv /opt/runqy-loader \
    && /opt/runqy-loader/bin/pip install --no-cache-dir --constraint /tmp/constraints.txt ".[${EXTRAS}]" \
    && /opt/runqy-loader/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim AS serve-and-load
COPY --from=build /opt/runqy-loader /opt/runqy-loader
ENV PATH=/opt/runqy-loader/bin:$PATH \
    PYTHONUNBUFFERED=1
# Files that a load writes (rejects, ids, reports) go to the working directory: mount one there to keep them.
RUN mkdir /work && chown 10001:10001 /work
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["runqy-loader"]

FROM serve-and-load AS serve
# A gateway in a container is reached from outside it.
ENV RUNQY_LOADER_HOST=0.0.0.0 \
    RUNQY_LOADER_PORT=3000
EXPOSE 3000
# 200 while Redis takes tasks, else 503.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"RUNQY_LOADER_PORT\"]}/healthz', timeout=4)"]
CMD ["serve"]

# The last target is what `docker build` makes without --target.
FROM serve-and-load AS tool
CMD ["--help"]
