"""Secrets of the environment, taken out of whatever a run tells or keeps."""

import json
import os
import re
from functools import partial
from html import escape
from pathlib import Path

from pipeline.urls import find_all_secrets

SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|_KEY$", re.IGNORECASE)


def scrub_folder(folder: Path) -> None:
    """Take the value of every secret that the environment holds out of all files of a run, whoever wrote it there."""
    for path in filter(Path.is_file, folder.iterdir()):
        text = path.read_text(errors="surrogateescape")
        if (clean := scrub(text)) != text:
            path.write_text(clean, errors="surrogateescape")


def scrub(text: str) -> str:
    """The text without the value of any secret, as it is or as HTML, JSON and Python write it."""
    secrets = {value for name, value in os.environ.items() if SECRET_NAME.search(name) and len(value) >= 8}
    secrets |= find_all_secrets(os.environ)
    forms = {write(value) for value in secrets for write in (str, escape, partial(escape, quote=False))}
    forms |= {write(value)[1:-1] for value in secrets for write in (repr, json.dumps)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
