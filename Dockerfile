# One image for the API, the reference ML service and every stage; the command says which it is.
FROM python:3.13.5-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY . .
RUN pip install -c constraints.txt -e '.[models,otel]' \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin darkroom \
    && mkdir -p /data/uploads \
    && chown -R darkroom:darkroom /data

USER darkroom
ENV DARKROOM_DATA=/data
# Each container has its own, as the tables of a stage belong to one process.
VOLUME /data
CMD ["darkroom", "--help"]
