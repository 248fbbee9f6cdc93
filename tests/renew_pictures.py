"""Make the README's picture of a run: python -m tests.renew_pictures RUN_FOLDER [SYMBOL]

It shows what the run left: the page with a symbol's forecast and its track record, what the terminal said, the heat
map of the grid, and how the forecasts of the last sessions held. Take the run whose numbers stand in the README, with a
diary: `python -m pipeline.diary replay --run-dir RUN_FOLDER`. Needs Chromium.
"""

import base64
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from pipeline.environment import ROOT
from pipeline.runs.display import Display
from pipeline.runs.results import RunResult, StageResult
from tests.conftest import CHROMIUM

PICTURE = ROOT / ".github" / "pictures" / "project.png"
LARGEST = 500_000  # bytes
COMMAND = "python run_all.py --params params/full.yaml -p SOURCE folder -p DATA_DIR FOLDER"
BOARD = """<style>
body { margin: 0; padding: 20px; background: #eef1f5; width: 1400px; box-sizing: border-box; display: grid;
       grid-template-columns: 640px 1fr; gap: 20px; align-items: start; }
img { width: 100%; display: block; border: 1px solid #cfd6df; border-radius: 8px; background: #fff; }
div { display: grid; gap: 20px; }
</style><img src="{page}"><div><img src="{terminal}"><img src="{map}"><img src="{record}"></div>"""


@contextmanager
def serve(run: Path) -> Iterator[str]:
    """A server of the run's model, for the length of the block. Yields its address."""
    command = [sys.executable, "-m", "serving", "--run-dir", str(run), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            yield next(found.group() for line in server.stdout if (found := re.search(r"http://[\w.:]+", line)))
        finally:
            server.terminate()


def take_page(browser: Browser, address: str, symbol: str) -> bytes:
    """The page, with the forecast of a symbol."""
    page = browser.new_page(viewport={"width": 800, "height": 1290}, device_scale_factor=1.5)
    page.goto(address)
    page.fill("#symbol", symbol)
    page.press("#symbol", "Enter")
    page.wait_for_selector("#chart rect.bar")
    page.wait_for_selector("#record rect.bar")
    return page.screenshot()


def take_record(browser: Browser, address: str) -> bytes:
    """The part of the track record that tells of the replay, with its chart."""
    page = browser.new_page(viewport={"width": 800, "height": 900}, device_scale_factor=1.5)
    page.goto(f"{address}/track-record")
    return page.locator("section[aria-labelledby=replay-title]").screenshot()


def draw_terminal(browser: Browser, run: Path) -> bytes:
    """What the last run of all four stages said at its end, from its run.json."""
    records = [json.loads(path.read_text()) for path in sorted(run.glob("runs/*/run.json"))]
    whole = [one for one in records if [stage["state"] for stage in one["stages"]] == ["done"] * 4]
    record = whole[-1]
    display = Display()
    display.console = Console(record=True, width=118, file=io.StringIO(), highlight=False, force_terminal=True)
    display.say(f"$ {COMMAND}")
    for stage in record["stages"]:
        display.end_stage(StageResult(**stage))
    folder = Path("outputs", "full", "runs", record["folder"][:8])
    result = RunResult(record["started"], [], {}, 0, None, record["seconds"], folder=folder)
    result.outcome = record["outcome"]
    display.end_well(result)
    page = browser.new_page(viewport={"width": 1000, "height": 600}, device_scale_factor=1.5)
    page.set_content(display.console.export_svg(title=COMMAND))
    return page.locator("svg").first.screenshot()


def compose(browser: Browser, pictures: dict[str, bytes]) -> bytes:
    """The pictures side by side."""
    with tempfile.TemporaryDirectory() as folder:
        html = BOARD
        for name, data in pictures.items():
            html = html.replace(f"{{{name}}}", f"data:image/png;base64,{base64.b64encode(data).decode()}")
        Path(folder, "board.html").write_text(html)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"file://{folder}/board.html")
        return page.screenshot(full_page=True)


def main(run: Path, symbol: str) -> None:
    version = run / "model" / (run / "model" / "CURRENT").read_text().strip()
    with sync_playwright() as play, serve(run) as address:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        pictures = {
            "page": take_page(browser, address, symbol),
            "terminal": draw_terminal(browser, run),
            "map": (version / "grid.png").read_bytes(),
            "record": take_record(browser, address),
        }
        whole = compose(browser, pictures)
    PICTURE.parent.mkdir(exist_ok=True)
    Image.open(io.BytesIO(whole)).convert("RGB").quantize(128).save(PICTURE, optimize=True)
    size = PICTURE.stat().st_size
    if size > LARGEST:
        sys.exit(f"{PICTURE} has {size:,} bytes: at most {LARGEST:,} are wanted.")
    print(f"{PICTURE.relative_to(ROOT)}: {size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m tests.renew_pictures RUN_FOLDER [SYMBOL]")
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "AAPL")
