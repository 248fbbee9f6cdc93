"""Environments of their own, made once and kept, for what brings libraries that are not the project's."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("MARKET_ENVIRONMENTS", Path.home() / ".cache" / "stock-market-pipeline"))
OURS = Path(__file__).parents[1] / "requirements.txt"


def install_npm(package: str) -> Path:
    """Install a program of npm's, with its version: name@1.2.3. Returns the folder of its programs."""
    folder = CACHE / package.replace("@", "-")
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), package]
        subprocess.run(command, check=True)
        (folder / "complete").touch()
    return folder / "node_modules" / ".bin"


def install(name: str, listed: Path) -> Path:
    """Install a file of requirements into an environment. Returns the folder of its programs."""
    content = listed.read_bytes() + OURS.read_bytes() + sys.version.encode()
    folder = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    if not (folder / "complete").exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        command = [uv, "pip", "install", "--quiet", "--python", folder, "-r", listed]
        subprocess.run(command, check=True)
        (folder / "complete").touch()
    return folder / "bin"
