#!/usr/bin/env bash
# A standalone Spark cluster on this machine, from the installed pyspark: a master and two workers, until Ctrl-C.
#     deploy/spark/cluster.sh [FOLDER FOR LOGS]
# On several machines run the master's line on one and a worker's line on each other, without SPARK_LOCAL_IP.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PYSPARK_PYTHON:-.venv/bin/python}
logs=${1:-$(mktemp -d)}
export SPARK_HOME PYSPARK_PYTHON JAVA_HOME
SPARK_HOME=$("$python" -c 'import pyspark, pathlib; print(pathlib.Path(pyspark.__file__).parent)')
PYSPARK_PYTHON=$("$python" -c 'import sys; print(sys.executable)')
JAVA_HOME=$("$python" -c 'from pipeline.spark.java import find_java; print(find_java())')
export SPARK_LOCAL_IP=127.0.0.1 SPARK_NO_DAEMONIZE=1
port=${SPARK_MASTER_PORT:-7077}
mkdir -p "$logs"

trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
launch() { "$SPARK_HOME/bin/spark-class" "org.apache.spark.deploy.$1" "${@:3}" >"$logs/$2.log" 2>&1 & }
launch master.Master master --host 127.0.0.1 --port "$port" --webui-port 0
for number in 1 2; do
    launch worker.Worker "worker-$number" --host 127.0.0.1 --webui-port 0 --cores 1 --memory 3g \
        --work-dir "$logs/work-$number" "spark://127.0.0.1:$port"
done
echo "run_all.py -p SPARK_MASTER spark://127.0.0.1:$port   (logs in $logs; Ctrl-C ends the cluster)"
wait
