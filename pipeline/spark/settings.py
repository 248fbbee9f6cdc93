"""How a Spark that is started here is set up."""

import re
import tempfile

from pipeline.datasets.files import hash_code
from pipeline.environment import MEMORY_STAYS

CODE = "spark.market.code"  # setting: the version of the project's code that the tasks of this session use

SETTINGS = {
    "spark.app.name": "stock market pipeline",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.driver.memory": "2g",
    # Results of a task are counts and statistics; a batch must hold one part's.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    # A laptop that slept, or an hour of plain Python between two questions, is no reason to give a session up.
    "spark.network.timeout": "7d",
    "spark.connect.session.manager.defaultSessionTimeout": "30d",
    # A worker process that imported pandas and pyarrow serves the next task as well.
    "spark.python.worker.reuse": "true",
}


def is_local(master: str) -> bool:
    return master.startswith("local")


def make_settings(master: str) -> dict[str, str]:
    """All settings of a Spark on `master`."""
    # On this machine alone nobody has to find it, whatever name the machine goes by.
    here = {CODE: hash_code(), "spark.driver.host": "127.0.0.1"} if is_local(master) else {}
    # The JVM plans and waits while Python computes: a collector of one thread leaves Python the cores, and so does the
    # first of its two compilers alone. The second took half of the JVM's time in a small run, and gained little in a
    # large one. The rest is what JAVA_TOOL_OPTIONS may hold for others: file names' letters, and a folder that is gone.
    java = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 "
    java += f'"-Djava.io.tmpdir={tempfile.gettempdir()}"'
    tuning = {f"spark.executorEnv.{name}": value for name, value in MEMORY_STAYS.items()}
    chosen = {"spark.master": allow_retries(master), "spark.driver.extraJavaOptions": java}
    return SETTINGS | tuning | here | chosen


def allow_retries(master: str) -> str:
    """A local master that gives a failed task three more attempts, as a cluster does."""
    local = re.fullmatch(r"local(?:\[(\*|\d+)\])?", master)
    return f"local[{local[1] or 1},4]" if local else master
