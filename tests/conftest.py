"""One Spark for the whole test run: notebooks and tests share a local Connect server, as a run of `run_all.py` does."""

import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.environment import spare_loopback
from tests.pictures import compare_pictures

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MARKET_SAMPLE = os.environ.get("MARKET_SAMPLE")
SERVERS = pytest.StashKey[ExitStack]()


def pytest_configure(config):
    config.stash[SERVERS] = ExitStack()
    # Progress bars are for people; the stored outputs have none.
    os.environ["TQDM_DISABLE"] = "1"
    # A token in the developer's shell must not open a tunnel to the world from a test.
    os.environ.pop("NGROK_AUTHTOKEN", None)
    # The servers of the tests are on this machine, whatever proxy leads out of it.
    os.environ.update(spare_loopback())


def pytest_collection_modifyitems(config, items):
    """Start the server before the first notebook's kernel: a kernel takes SPARK_REMOTE from the environment."""
    cells = [item for item in items if item.path.suffix == ".ipynb"]
    for cell in cells:
        compare_pictures(cell)
    if cells:
        start_spark(config)


def pytest_unconfigure(config):
    config.stash[SERVERS].close()


def start_spark(config) -> None:
    if "SPARK_REMOTE" in os.environ:
        return
    from pipeline.spark.server import connect_server

    log = config.cache.mkdir("spark") / "connect.log"
    os.environ["SPARK_REMOTE"] = config.stash[SERVERS].enter_context(connect_server("local[*]", log)).address


@pytest.fixture(scope="session")
def spark(request):
    """A session on the run's one Spark Connect server."""
    from pipeline.spark.session import open_spark

    start_spark(request.config)
    session = open_spark("local[*]")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def browser():
    """A real browser, for what a person sees. Not for the whole test run: while it is open no test can use asyncio."""
    if not CHROMIUM:
        pytest.skip("needs a browser: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def market_sample() -> Path:
    """652 real files of the Kaggle set, where they are at hand: MARKET_SAMPLE names their folder."""
    if not MARKET_SAMPLE:
        pytest.skip("set MARKET_SAMPLE to a folder in the layout of the Kaggle set to run this on more real files")
    return Path(MARKET_SAMPLE)


@pytest.fixture
def ready_spark(spark) -> dict[str, str]:
    """The environment in which a run uses the test run's Spark, where a Spark of its own is not the point."""
    return {"SPARK_REMOTE": os.environ["SPARK_REMOTE"]}
