"""Variables, folders and streams of somebody's shell: a run is the same, or says in one line what is in its way."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from papermill.exceptions import PapermillExecutionError

from pipeline.datasets.run_folder import RunFolder
from pipeline.runs.failures import describe_end, describe_failure
from pipeline.runs.plan import Step
from pipeline.stages import STAGES
from tests.faults.test_run_faults import ROOT, RUN_SMALL, run_small

SAMPLE = ROOT / "notebooks" / "sample"
NOWHERE = "nowhere.invalid"
HDFS = f"<configuration><property><name>fs.defaultFS</name><value>hdfs://{NOWHERE}</value></property></configuration>"
CLUSTER = f"spark.master spark://{NOWHERE}:7077\nspark.jars.packages no.such:package:1\nspark.eventLog.enabled true\n"
KERNEL = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Python 3", "language": "python"}
JAVA = "-Duser.language=tr -Dfile.encoding=ISO-8859-1 -Djava.io.tmpdir=/gone "
JAVA += "-DsocksProxyHost=127.0.0.1 -DsocksProxyPort=9 -DsocksNonProxyHosts="
ENDS = "raise SystemExit('somebody else')\n"


@pytest.fixture
def hostile(tmp_path) -> dict[str, str]:
    """The environment of a shell in which everything is set for something else."""
    home = tmp_path / "hostile"
    files = {
        "jupyter/kernels/python3/kernel.json": json.dumps(KERNEL),
        "ipython/profile_default/startup/00.py": ENDS,
        "ipython/profile_default/ipython_kernel_config.py": ENDS,
        "startup.py": ENDS,
        "hadoop/core-site.xml": HDFS,
        "spark/spark-defaults.conf": CLUSTER,
        "matplotlib/matplotlibrc": "text.usetex: true\n",
        "cache/file": "",
    }
    files |= {f"modules/{name}.py": ENDS for name in ("pipeline", "serving", "json", "typing", "random", "yaml")}
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    proxies = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "grpc_proxy", "ALL_PROXY"), "http://127.0.0.1:9"
    )
    python = {"PYTHONOPTIMIZE": "2", "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error", "PYTHONUTF8": "0"}
    python |= {"PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii", "PYTHONSTARTUP": str(home / "startup.py")}
    jupyter = {"JUPYTER_PATH": str(home / "jupyter"), "IPYTHONDIR": str(home / "ipython"), "MPLBACKEND": "TkAgg"}
    jupyter |= {
        "JUPYTER_CONFIG_DIR": "/gone",
        "JUPYTER_RUNTIME_DIR": "/proc/gone",
        "JUPYTER_DEFAULT_PROVISIONER": "gone",
    }
    hadoop = {"HADOOP_CONF_DIR": str(home / "hadoop"), "YARN_CONF_DIR": str(home / "hadoop"), "SPARK_HOME": "/gone"}
    spark = {"SPARK_CONF_DIR": str(home / "spark"), "SPARK_MASTER": "yarn", "MASTER": "yarn", "SPARK_TESTING": "1"}
    spark |= {"SPARK_LOCAL_DIRS": "/gone", "SPARK_LOCAL_IP": "192.0.2.77", "SPARK_API_MODE": "connect"}
    pyspark = {"PYSPARK_SUBMIT_ARGS": "--master local[2]", "PYSPARK_GATEWAY_PORT": "9", "PYSPARK_PYTHON": "/gone"}
    pyspark |= {"PYSPARK_DRIVER_PYTHON": "/gone"}
    folders = {"HOME": "/nonexistent", "TMPDIR": "/gone", "MPLCONFIGDIR": str(home / "matplotlib")}
    folders |= {"XDG_CACHE_HOME": str(home / "cache/file"), "XDG_CONFIG_HOME": "/proc/gone"}
    rest = {"LC_ALL": "C", "JAVA_TOOL_OPTIONS": JAVA, "CONDA_PREFIX": "/gone"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    modules = {"PYTHONPATH": os.pathsep.join((str(home / "modules"), "/gone", "."))}
    return kept | proxies | python | jupyter | hadoop | spark | pyspark | folders | rest | modules


def list_errors(notebook: Path) -> list[str]:
    """What the cells of an executed notebook wrote on standard error."""
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return ["".join(output["text"]) for output in outputs if output.get("name") == "stderr"]


def test_a_run_in_a_hostile_shell_is_like_any_other(tmp_path, hostile):
    data, run_dir = shutil.copytree(SAMPLE, tmp_path / "prix été"), tmp_path / "süß"
    command = [sys.executable, "run_all.py", "--run-dir", run_dir, "--to", "ingest"]
    command += ["-p", "SOURCE", "folder", "-p", "DATA_DIR", data, "-p", "SPARK_MASTER", "local[2]"]
    done = subprocess.run(command, cwd=ROOT, env=hostile, umask=0o077, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert RunFolder(run_dir).current("prices").rows == 22_216
    (notebook,) = run_dir.glob("runs/*/01_ingest.ipynb")
    assert not list_errors(notebook)


BY_HAND = """
import sys
sys.path.insert(0, "..")
from pipeline.spark.session import open_spark
spark = open_spark("local[2]")
spark.range(9).write.parquet(f"file:{sys.argv[1]}/nine")
read = spark.read.parquet(f"{sys.argv[1]}/nine")  # a plain path
assert read.mapInArrow(lambda batches: batches, "id bigint").count() == 9
assert spark.sparkContext.master.startswith("local[2")
spark.stop()
"""


@pytest.mark.slow
def test_a_notebook_opened_by_hand_in_a_hostile_shell_has_its_spark(tmp_path, hostile):
    mine = {name: value for name, value in hostile.items() if not name.startswith("PYTHON")}  # its Python is there
    (tmp_path / "temporary é").mkdir()
    mine["TMPDIR"] = str(tmp_path / "temporary é")
    command = [sys.executable, "-c", BY_HAND, str(tmp_path / "données")]
    done = subprocess.run(command, cwd=ROOT / "notebooks", env=mine, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


CHECK_KERNEL = f"""
import sys
import matplotlib.pyplot as plt
assert sys.executable == {sys.executable!r}
assert __debug__ and not sys.warnoptions
plt.plot([1, 2])
plt.show()
try:
    assert False, "left out"
except AssertionError:
    print("checked")
"""


def check_small(home: Path, **environment: str) -> None:
    run = run_small(home, CHECK_KERNEL, **environment)
    assert run["exit_code"] == 0, run["error"]
    (notebook,) = home.glob("run/runs/*/01_small.ipynb")
    assert "checked" in notebook.read_text()
    assert not list_errors(notebook)


@pytest.mark.slow
@pytest.mark.parametrize("home", ["", pytest.param("/dev/null", marks=pytest.mark.slow)])
def test_a_home_that_is_none_is_not_needed(tmp_path, home):
    check_small(tmp_path, HOME=home)


def test_a_full_home_is_not_needed(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(home)]).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        (home / "all of it").write_bytes(bytes(4096))
        check_small(tmp_path, HOME=str(home))
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def test_no_folder_for_temporary_files_is_told(tmp_path):
    missing = FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/var/tmp']")
    code, told = describe_end(missing, tmp_path)
    assert code == 5
    assert "['/tmp', '/var/tmp']: see that it is there and can be written" in told


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_a_cell_may_not_write_is_named(number):
    error = OSError(number, os.strerror(number), "/their/folder")
    ended = PapermillExecutionError(3, 4, "", type(error).__name__, str(error), [])
    step = Step(STAGES[0], ROOT / "notebooks" / STAGES[0].notebook, {}, False)
    code, told = describe_failure(ended, step)
    assert code == 5
    assert "'/their/folder': see that it can be read and written" in told


def test_a_kernel_that_does_not_start_says_why(tmp_path, monkeypatch):
    broken = "from pipeline.runs import kernels\nkernels.COMMAND[1:] = ['-c', 'import no_such_module']\n"
    monkeypatch.setattr("tests.faults.test_run_faults.RUN_SMALL", broken + RUN_SMALL)
    run = run_small(tmp_path, "print()")
    assert run["exit_code"] == 5
    assert "it ended by itself with exit code 1. ModuleNotFoundError: No module named 'no_such_module'" in run["error"]


def in_a_namespace(*options: str) -> list[str]:
    """The beginning of a command that sees another system. Skips the test where none can be made."""
    program = ["unshare", *options]
    if not shutil.which("unshare") or subprocess.run([*program, "true"], capture_output=True).returncode:
        pytest.skip("no namespace can be made here")
    return program


@pytest.mark.slow
def test_a_user_without_a_name_is_told(tmp_path):
    """A container may run as a user id that no line of /etc/passwd knows: Java's login does not."""
    kept = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("SPARK_")}
    command = [*in_a_namespace("--user", "--map-user=54321"), sys.executable, "run_all.py", "--to", "ingest"]
    command += ["--run-dir", str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=120)
    assert done.returncode == 5, done.stderr
    error, _details = done.stderr.splitlines()
    assert "This user id has no name here" in error
    assert "/etc/passwd" in error


@pytest.mark.slow
def test_a_project_that_cannot_be_written_on_a_machine_without_a_known_name_runs(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    mounts = 'hostname nowhere.invalid; mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; cd "$0"; exec "$@"'
    command = [*in_a_namespace("--mount", "--uts"), "sh", "-c", mounts, str(ROOT), sys.executable, "run_all.py"]
    command += ["--to", "ingest", "--run-dir", str(tmp_path / "run")]
    done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def small_group(tmp_path) -> Iterator[Path]:
    """A control group whose processes may take 600 MB together. Skips the test where none can be made."""
    group, limit = None, "memory.max"
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            group, limit = Path("/sys/fs/cgroup/memory", path.lstrip("/")), "memory.limit_in_bytes"
        elif not controllers and group is None:
            group = Path("/sys/fs/cgroup", path.lstrip("/"))
    made = (group or Path("/gone")) / f"market-{os.getpid()}"
    try:
        made.mkdir()
        (made / limit).write_text(str(600 * 10**6))
    except OSError:
        pytest.skip("no control group can be made here")
    yield made
    made.rmdir()


def test_a_kernel_that_the_system_killed_for_memory_is_told(tmp_path, small_group, monkeypatch):
    join = f"import os\nopen({str(small_group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
    monkeypatch.setattr("tests.faults.test_run_faults.RUN_SMALL", join + RUN_SMALL)
    run = run_small(tmp_path, "hoard = b'x' * 10**9")
    assert run["exit_code"] == 7
    assert "its kernel was killed by the system for want of memory. Run again with fewer cores" in run["error"]


def test_a_kernel_that_crashed_is_not_said_to_lack_memory(tmp_path):
    run = run_small(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert run["exit_code"] == 7
    assert "its kernel was ended by SIGSEGV. What it said last is in " in run["error"]
    assert "memory" not in run["error"]


def run_in_a_shell(line: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a line of bash, in which $RUN is run_all.py. Ends as its first command does that fails."""
    kept = os.environ | {"RUN": f"{sys.executable} {ROOT / 'run_all.py'}"} | environment
    command = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(command, cwd="/", env=kept, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "line",
    [
        "$RUN --dry-run --run-dir {} | head -1",
        "$RUN --dry-run --run-dir {} | true",
        "$RUN --help | head -1",
        "$RUN --help | true",
        "$RUN --dry-run --run-dir {} >&-",
        "$RUN --dry-run --run-dir {} <&- >&- 2>&-",
        "PYTHONOPTIMIZE=2 $RUN --help",
        "PYTHONPATH=modules PYTHONSAFEPATH=1 PYTHONWARNINGS=error $RUN --dry-run --run-dir {}",
    ],
)
def test_a_reader_that_goes_and_switches_of_python_end_no_run(tmp_path, line):
    done = run_in_a_shell(line.format(tmp_path / "run"))
    assert (done.returncode, done.stderr) == (0, "")


def test_words_that_cannot_be_written_are_told_and_end_no_run(tmp_path):
    done = run_in_a_shell(f"$RUN --dry-run --run-dir {tmp_path / 'run'} > /dev/full")
    assert done.returncode == 0
    assert done.stderr == "warning: what a run says cannot be written: [Errno 28] No space left on device\n"
