# Two images of one service: `api` (no torch; the sender's, too) and `worker` (with the engine).
#   docker build --target api -t secateur-api .
#   docker build --target worker -t secateur-worker .                           CPU
#   docker build --target worker --build-arg ENGINE=gpu -t secateur-worker .    NVIDIA GPU, see docs/gpu.md
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS base
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 SECATEUR_DATA_DIR=/data SECATEUR_LOG_FORMAT=json
RUN useradd --create-home --uid 1000 secateur && mkdir /data && chown secateur /data
WORKDIR /srv/secateur
COPY pyproject.toml requirements.lock README.md LICENSE alembic.ini ./
COPY app app
COPY worker worker
COPY sender sender
COPY engine engine
COPY core core
COPY client client
COPY migrations migrations
VOLUME /data

FROM base AS api
RUN pip install -e '.[tracing]' -c requirements.lock
USER secateur
ENV SECATEUR_HOST=0.0.0.0
EXPOSE 8080
# /readyz would also fail where only a worker is missing, and a web process cannot mend that.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["python", "-m", "app"]

FROM base AS worker
ARG ENGINE=cpu
# bubblewrap is the sandbox in which user files are opened
RUN apt-get update && apt-get install -y --no-install-recommends bubblewrap && rm -rf /var/lib/apt/lists/*
# An index of CPU-only wheels of torch makes a much smaller image; without one, torch brings CUDA along.
ARG TORCH_INDEX=
# Such an index has torch's versions, not ours, so then the lock speaks of all but torch and what it brings along.
RUN if [ "$ENGINE" = cpu ] && [ -n "$TORCH_INDEX" ]; then \
      pip install torch torchvision --index-url "$TORCH_INDEX" \
      && grep -vE '^(torch|torchvision|triton|nvidia-.*|cuda-.*)==' requirements.lock > constraints.txt; \
    else cp requirements.lock constraints.txt; fi \
    && pip install -e '.[engine,tracing]' -c constraints.txt
RUN if [ "$ENGINE" = gpu ]; then \
      pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu>=1.23' -c constraints.txt; fi
USER secateur
CMD ["celery", "-A", "worker.main", "worker", "-Q", "cpu", "--loglevel", "info"]
