# Serving: the model of a run folder over HTTP, as a user without rights. The folder is mounted, read-only will do.
ARG BASE=python:3.12.11-slim-bookworm
FROM ${BASE}
RUN useradd --uid 10001 --no-create-home market
WORKDIR /market
COPY serving/requirements.txt serving/
RUN pip install --no-cache-dir -r serving/requirements.txt
COPY serving serving
USER market
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/ready', timeout=2)"]
ENTRYPOINT ["python", "-m", "serving", "--host", "0.0.0.0"]
CMD ["--run-dir", "/run-folder"]
