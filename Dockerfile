# The desk in a container; docs/serving.md says how to start it.
FROM python:3.11-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
# An index with builds of torch for processors alone makes the image some gigabytes smaller:
# docker build --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=""
RUN --mount=from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(echo /wheels/evoked-*.whl)[serve,boosting,fast]"
RUN useradd --create-home --uid 10001 desk && install --directory --owner desk /desk /cache
USER desk
WORKDIR /desk
ENV PYTHONUNBUFFERED=1 EVOKED_CACHE=/cache
VOLUME ["/desk", "/cache"]
EXPOSE 8765
# Health is said to anybody, without the token.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/health', timeout=5)"]
ENTRYPOINT ["evoked", "serve", "--data", "/desk", "--host", "0.0.0.0", "--port", "8765", \
    "--token-file", "/run/secrets/desk_token"]
