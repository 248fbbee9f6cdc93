"""The model in use, exchanged for a newer one while requests are being answered."""

import logging
import os
import threading
from pathlib import Path

from serving.bundle import Bundle, find_version, load_version
from serving.errors import BundleError, UnreadableError
from serving.mirror import Mirror
from serving.storage import is_url

INTERVAL = 0.5  # seconds between two looks at CURRENT

log = logging.getLogger("serving")


class ModelWatch:
    """Holds the bundle that answers, and follows model/CURRENT of a run folder, which may be a URL.

    A new version takes over only after all checks of `load_version`; one that fails them is refused, for good, and the
    old one goes on. One that cannot be read is tried again at the next look.
    Reading `bundle` is a single reference, so a request works with one version from beginning to end.
    """

    def __init__(self, run_dir: Path | str) -> None:
        self.run_dir = run_dir
        self.mirror: Mirror | None = None  # of a run folder in a store, as soon as it is asked for
        self.bundle: Bundle | None = None
        self._failed: dict[str, str] = {}  # name of a version -> the check that it failed
        self._unread: dict[str, str] = {}  # what could not be read at the last look, if anything -> why
        self._ended = threading.Event()
        self._follows = False

    def load(self) -> Bundle:
        """Load the current version now. Raises BundleError if it is absent or refused, StorageError if a URL cannot
        be followed at all.
        """
        folder = self.find_folder()
        if self.mirror and self.mirror.trouble:
            raise UnreadableError(self.mirror.trouble)
        self.bundle = load_version(find_version(folder))
        return self.bundle

    def find_folder(self) -> Path:
        """The run folder on this machine."""
        if is_url(self.run_dir) and not self.mirror:
            self.mirror = Mirror(str(self.run_dir))
        return self.mirror.folder if self.mirror else Path(self.run_dir)

    @property
    def refused(self) -> dict[str, str]:
        """Name of a version, or of the run folder if that has none -> why it did not take over."""
        return self._failed | self._unread

    @property
    def reason(self) -> str:
        """Why there is no model, for whoever asks while there is none."""
        return list(self.refused.values())[-1] if self.refused else "No model is loaded yet."

    def look(self) -> None:
        """Take over a new current version, if there is one and it passes its checks."""
        path, unread = Path(self.run_dir), {}
        try:
            path = find_version(self.find_folder())
            if not (self.bundle and path == self.bundle.path) and path.name not in self._failed:
                self.bundle = load_version(path)
                log.info("serving model version %s", self.bundle.version)
        except UnreadableError as error:
            unread = {path.name: str(error)}
            if unread != self._unread:
                log.error("no new model version, the old one goes on: %s", error)
        except BundleError as error:
            self._failed[path.name] = str(error)
            log.error("model version refused, the old one goes on: %s", error)
        except Exception as error:  # the watch goes on, whatever it saw
            unread = {path.name: f"{path} cannot be taken over: {type(error).__name__}: {error}"}
            log.exception("no new model version, the old one goes on")
        if self.mirror and self.mirror.trouble:
            unread = {str(self.run_dir): f"{self.mirror.trouble} The model that was loaded last goes on."}
        self._unread = unread

    def follow(self) -> None:
        """Look for new versions in the background until `stop`, in this process and in those that are forked from it:
        a server that loads the application first and forks then, as gunicorn --preload, has the thread in none of them.
        """
        threading.Thread(target=self._run, name="model-watch", daemon=True).start()
        if not self._follows and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._follow_in_child)
        self._follows = True

    def _follow_in_child(self) -> None:
        if not self._ended.is_set():
            self.follow()

    def stop(self) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            self.look()
