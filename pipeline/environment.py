"""What the processes that the project starts are told by environment variables: here, and nowhere else.

The variables of a shell belong to whoever works in it. They may speak of a cluster, of another Python, of a proxy, of a
folder that is gone. What is meant for everybody passes through; what steers Python, Jupyter or Spark is set on purpose.
"""

import locale
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DIRECTLY = ("no_proxy", "NO_PROXY", "no_grpc_proxy")  # they name the hosts for which no proxy is asked

KAGGLE = "KAGGLE_KERNEL_RUN_TYPE"  # is set on Kaggle's own machines, where data sets are attached as folders

ROOM = 2**20  # bytes: what a library may want to keep in a folder

# Of the variables that steer Python these alone pass: where libraries lie, what is written, and the order of sets.
PYTHON_STAYS = (
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PYTHONHASHSEED",
)
# How others submit to Spark, and which kind of Spark their Python is a client of: a Spark that is started here is none.
SUBMISSION = (
    "PYSPARK_",
    "SPARK_REMOTE",
    "SPARK_API_MODE",
    "SPARK_CONNECT_",
    "SPARK_LOCAL_REMOTE",
    "SPARK_TESTING",
    "MASTER",
)
CLUSTER = ("SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "HIVE_", "MASTER")
OF_CLIENT = ("SPARK_REMOTE", "SPARK_CONNECT_AUTHENTICATE_TOKEN")

# Tasks ask for the same large blocks again and again, and pages that were given back cost more to get again than the
# work on them: memory stays with a process. (glibc reads these; others ignore them.)
MEMORY_STAYS = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}


@contextmanager
def set_variables(values: Mapping[str, str]) -> Iterator[None]:
    """Have environment variables for the length of the block: the run may be a cell of somebody's notebook."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def spare_loopback() -> dict[str, str]:
    """The variables by which every library asks this machine itself directly, whatever proxy is set for the world.

    None where no variable sets a proxy: they would make Python overlook one in the system's own settings.
    """
    if not any(name.lower().endswith("_proxy") and name not in DIRECTLY for name in os.environ):
        return {}
    everywhere = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    values = {}
    for name in DIRECTLY:
        given = os.environ.get(name) or everywhere
        # A star alone is "no proxy at all", but not to gRPC; in a list it means nothing.
        alone = given == "*" and name != "no_grpc_proxy"
        listed = given.split(",") if given else []
        values[name] = "*" if alone else ",".join([*(host for host in LOOPBACK if host not in listed), *listed])
    return values


def make_python_environment() -> dict[str, str]:
    """The environment of a Python process that the project starts: its own modules first, UTF-8, and no switches that
    leave checks out or end it at a warning.
    """
    kept = leave_out(os.environ, ("PYTHON",), but=PYTHON_STAYS)
    mine = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *list_harmless_folders(os.environ.get("PYTHONPATH", ""))]),
        "PYTHONUTF8": "1",
        "TMPDIR": tempfile.gettempdir(),  # one that can be written, which the one that was given need not be
    }
    # Java takes the letters of file names from the locale, and has no switch of its own.
    if "utf" not in locale.setlocale(locale.LC_CTYPE).lower():
        mine["LC_ALL"] = "C.UTF-8"
    return kept | spare_loopback() | mine


def make_kernel_environment(home: Path) -> dict[str, str]:
    """The environment of a notebook's kernel. home: an empty folder of its own, in place of the user's settings.

    Somebody's start-up scripts, kernel settings and styles of plots are for notebooks that he works in.
    """
    environment = leave_out(make_python_environment(), CLUSTER, but=OF_CLIENT)
    environment |= {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(home / "jupyter"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    matplotlib = find_spec("matplotlib")
    if matplotlib and matplotlib.origin:
        environment["MATPLOTLIBRC"] = str(Path(matplotlib.origin).parent / "mpl-data" / "matplotlibrc")
    if not has_room(Path(environment.get("MPLCONFIGDIR") or environment.get("HOME") or os.devnull)):
        environment["MPLCONFIGDIR"] = str(home / "matplotlib")
    return environment


def make_spark_environment(java: Path, spark: Path, local: bool) -> dict[str, str]:
    """The environment of a Spark that is started here, and of its Python workers. java, spark: their folders.

    On this machine alone (`local`) the configuration of a cluster has no say; on a cluster it counts.
    """
    environment = leave_out(make_python_environment(), SUBMISSION)
    theirs = Path(environment.get("SPARK_HOME", os.devnull)) / "conf"
    if local:
        places = list_scratch_folders(environment.get("SPARK_LOCAL_DIRS", ""))
        environment = leave_out(environment, CLUSTER)
        environment |= {"SPARK_LOCAL_IP": "127.0.0.1"}  # no look at the network's names
        environment |= {"SPARK_LOCAL_DIRS": ",".join(places) or tempfile.gettempdir()}
    elif theirs.is_dir():  # the programs are those of this Python's pyspark, the settings the cluster's
        environment.setdefault("SPARK_CONF_DIR", str(theirs))
    return environment | {
        "JAVA_HOME": str(java),
        "SPARK_HOME": str(spark),
        "SPARK_LAUNCHER_OPTS": "-Dfile.encoding=UTF-8",  # of what writes Java's command line, names of files among it
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        **MEMORY_STAYS,
    }


def make_client_environment() -> dict[str, str]:
    """The environment of this process as a client of a Spark server, without what would make it something else."""
    return leave_out(os.environ, CLUSTER, but=OF_CLIENT) | spare_loopback()


def supply_home() -> dict[str, str]:
    """A HOME where there is none: a container may run as a user id that nobody knows, and libraries ask for its."""
    try:
        Path.home()
    except RuntimeError:
        return {"HOME": tempfile.gettempdir()}
    return {}


def take_on(environment: Mapping[str, str]) -> None:
    """Have this process live in an environment from now on."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def leave_out(environment: Mapping[str, str], beginnings: tuple[str, ...], but: Iterable[str] = ()) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name in but or not name.startswith(beginnings)}


def list_harmless_folders(python_path: str) -> list[str]:
    """The folders of a PYTHONPATH that hide nothing which Python would find without them: a module `types` or
    `pipeline` of somebody's ends whatever imports it.
    """
    theirs = [str(Path(folder).absolute()) for folder in python_path.split(os.pathsep) if folder]
    usual = [str(ROOT), *(folder for folder in sys.path if folder not in theirs)]
    return [folder for folder in dict.fromkeys(theirs) if not hides_some(folder, usual)]


def hides_some(folder: str, usual: list[str]) -> bool:
    """Whether a folder holds a module that Python would find elsewhere."""
    try:
        names = {entry.split(".")[0] for entry in os.listdir(folder)}  # noqa: PTH208  a name is all that is wanted
    except OSError:
        return False
    return any(is_found(name, usual) and is_found(name, [folder]) for name in names if name.isidentifier())


def is_found(module: str, folders: list[str]) -> bool:
    found = PathFinder.find_spec(module, folders)
    return found is not None and found.origin is not None  # a folder without __init__.py hides nothing


def list_scratch_folders(listed: str) -> list[str]:
    """Those of the folders, separated by commas, that can be written, as absolute paths."""
    places = (Path(folder.strip()).absolute() for folder in listed.split(",") if folder.strip())
    return [str(place) for place in places if has_room(place)]


def has_room(folder: Path) -> bool:
    """Whether a file can be written into a folder, and something into the file."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError:
        return False
    return True
