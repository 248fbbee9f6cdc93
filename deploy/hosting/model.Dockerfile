# One image with the code that serves and the model itself, for hosts that run a container from a repository.
ARG BASE=python:3.12.11-slim-bookworm
FROM ${BASE}
RUN useradd --uid 1000 --no-create-home market
WORKDIR /market
COPY serving/requirements.txt serving/
RUN pip install --no-cache-dir -r serving/requirements.txt
COPY serving serving
COPY model model
USER market
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=7860
EXPOSE 7860
# The shell is replaced by the server, so that the host's signal to end reaches it.
CMD ["sh", "-c", "exec python -m serving --run-dir . --host 0.0.0.0 --port $PORT --public"]
