"""The model in use, exchanged for a newer one while requests are being answered."""

import logging
import threading
from pathlib import Path

from serving.bundle import Bundle, find_version, load_bundle
from serving.errors import BundleError

INTERVAL = 1.0  # seconds between two looks at CURRENT

log = logging.getLogger("serving")


class ModelWatch:
    """Holds the bundle that answers, and follows model/CURRENT of a run folder.

    A new version takes over only after all checks of `load_bundle`; one that fails them is refused, once, and the old
    one goes on.
    Reading `bundle` is a single reference, so a request works with one version from beginning to end.
    """

    def __init__(self, run_dir: Path | str) -> None:
        self.run_dir = Path(run_dir)
        self.bundle: Bundle | None = None
        self.refused: dict[str, str] = {}  # name of a version -> why it was refused
        self._ended = threading.Event()

    def load(self) -> Bundle:
        """Load the current version now. Raises BundleError if it is absent or refused."""
        self.bundle = load_bundle(self.run_dir)
        return self.bundle

    def look(self) -> None:
        """Take over a new current version, if there is one and it passes its checks."""
        path = self.run_dir
        try:
            path = find_version(self.run_dir)
            if (self.bundle and path == self.bundle.path) or path.name in self.refused:
                return
            self.bundle = load_bundle(path)
            log.info("serving model version %s", self.bundle.version)
        except BundleError as error:
            if path.name not in self.refused:
                self.refused[path.name] = str(error)
                log.error("model version refused, the old one goes on: %s", error)

    def follow(self) -> None:
        """Look for new versions in the background until `stop`."""
        threading.Thread(target=self._run, name="model-watch", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            self.look()
