# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends \
      build-essential \
      # headers for psycopg
      libpq-dev \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install -r requirements.txt
CMD python this-stage-never-runs.py

FROM python:3.12-slim
ARG VERSION=dev
LABEL org.opencontainers.image.title="orders" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH="/venv/bin:$PATH" PYTHONUNBUFFERED=1
RUN groupadd -r app && useradd -r -g app app
COPY --from=build /venv /venv
WORKDIR /app
COPY --chown=app:app orders/ orders/
USER app
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez')"
STOPSIGNAL SIGTERM
CMD ["uvicorn", "orders.app:app", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "20"]
