# The pipeline: run_all.py with its notebooks, Spark and Java, as a user without rights. It holds no prices and no
# results: both are mounted (see deploy/README.md).
ARG BASE=python:3.12.11-slim-bookworm
FROM ${BASE}
RUN useradd --uid 10001 --create-home market
WORKDIR /market
COPY deploy/requirements.lock .
RUN pip install --no-cache-dir -r requirements.lock
COPY run_all.py .
COPY params params
COPY serving serving
COPY notebooks/*.ipynb notebooks/
COPY pipeline pipeline
RUN install -d -o market outputs
USER market
ENV PYTHONUNBUFFERED=1
VOLUME /market/outputs
# Whether Java is found and the demo's parameters fit the notebooks; the run itself says by its exit code how it went.
HEALTHCHECK --interval=5m --timeout=30s --start-period=30s \
    CMD ["python", "-c", "from pathlib import Path; from pipeline.spark.java import find_java; from pipeline.runs.plan import make_plan; find_java(); make_plan(Path('params/demo.yaml'))"]
ENTRYPOINT ["python", "run_all.py"]
