"""What a person sees of a run: live on a terminal, plain elsewhere, nothing where nothing was asked for."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.runs.board import Board, StageLine
from pipeline.runs.display import Display
from pipeline.runs.results import RunResult, StageResult

ROOT = Path(__file__).parents[2]
NOT_OURS = ("NO_COLOR", "FORCE_COLOR", "SPARK_REMOTE")  # of the environment
COLOUR = re.compile(rb"\x1b\[(\d+;)*3[0-7]m")


def run_on_a_terminal(*arguments: str, **environment: str) -> bytes:
    """Everything that run_all.py, with a Spark of its own, writes to a terminal of its own."""
    mine, its = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    command = [sys.executable, "run_all.py", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=plain | {"TERM": "xterm"} | environment, stdout=its, stderr=its):
        os.close(its)
        seen = b""
        while True:
            try:
                data = os.read(mine, 65536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                break
            seen += data
    os.close(mine)
    return seen


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_can_be_switched_off(tmp_path, environment, coloured):
    seen = run_on_a_terminal("--run-dir", str(tmp_path / "run"), "-p", "WRONG", "1", **environment)
    assert b"There is no parameter WRONG" in seen
    assert bool(COLOUR.search(seen)) == coloured


def end(display: Display, tmp_path: Path, code: int, error: str | None) -> None:
    stage = StageResult("ingest", "done" if code == 0 else "failed", 12.34, "not run yet", error, 3 * 2**29)
    display.end_stage(stage)
    display.end_run(RunResult("now", [stage], {}, code, error, 15.0, folder=tmp_path))


def test_a_run_ends_with_the_way_to_its_report(tmp_path, capsys):
    end(Display(), tmp_path, 0, None)
    out, err = capsys.readouterr()
    assert "12.3 s" in out
    assert "1.50 GiB" in out
    assert str(tmp_path / "report.html") in out
    assert not err


def test_a_failure_ends_with_one_line_and_the_way_to_its_report(tmp_path, capsys):
    error = f"01_ingest.ipynb, cell [3]: {tmp_path / ('long' * 50)} broke"
    end(Display(), tmp_path, 7, error)
    assert capsys.readouterr().err.splitlines() == [f"error: {error}", f"details: {tmp_path}"]


def test_a_warning_is_one_line_in_a_log(capsys):
    Display().warn("the report could not be written: " + "long " * 50 + "path")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_quiet_says_errors_only(tmp_path, capsys):
    end(Display(quiet=True), tmp_path, 0, None)
    assert capsys.readouterr() == ("", "")
    end(Display(quiet=True), tmp_path, 7, "it broke")
    out, err = capsys.readouterr()
    assert not out
    assert "it broke" in err


def test_the_live_line_tells_progress_and_memory(tmp_path):
    notes = tmp_path / "progress"
    line = {"label": "ingest", "unit": "files", "done": 20, "total": 60, "rows": 3_000_000, "seconds": 2.0}
    notes.write_text(json.dumps(line) + "\n")
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(StageLine(StageResult("ingest", peak_bytes=2**31), notes))
    seen = console.export_text()
    assert all(words in seen for words in ("ingest", "2.00 GiB", "20/60 files", "1.5 M rows/s", "4 s left"))


def show(board: Board) -> list[str]:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(board)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_what_is_to_come_is_shown_below_what_goes_on(tmp_path):
    stages = [StageResult("ingest"), StageResult("features"), StageResult("train")]
    board = Board(stages)
    board.begin("starting Spark")
    first, *waiting = show(board)
    assert first.startswith("starting Spark")
    assert waiting == ["ingest    waiting", "features  waiting", "train     waiting"]
    board.begin_stage(stages[0], tmp_path / "progress")
    board.note_cell(7, 30)
    first, *waiting = show(board)
    assert first.startswith("ingest")
    assert "cell 7 of 30" in first
    assert len(waiting) == 2
    board.end_stage(stages[0])
    assert show(board) == ["features  waiting", "train     waiting"]


@pytest.mark.slow  # a whole stage
def test_a_terminal_shows_a_run_from_its_first_moment_to_its_last_cell(tmp_path):
    seen = run_on_a_terminal("--run-dir", str(tmp_path / "run"), "--to", "ingest").decode()
    assert seen.index("starting Spark") < re.search(r"cell \d+ of", seen).start()
    last = max(int(number) for number in re.findall(r"cell (\d+) of", seen))
    assert last > 20
    assert "report.html" in seen


def test_a_run_ends_with_its_results_what_is_red_and_the_next_command(tmp_path, capsys):
    folder = tmp_path / "a folder" / "runs" / "now"
    result = RunResult("now", [], {}, 0, None, 15.0, folder=folder)
    result.outcome = ["Volume of the day: grid, 4.6% better than naive"]
    result.verdicts = [{"kept": True, "what": "All is well."}, {"kept": False, "what": "The ledger does not balance."}]
    Display().end_run(result)
    out = capsys.readouterr().out
    assert "4.6% better than naive" in out
    assert "look: The ledger does not balance." in out
    assert "All is well" not in out
    assert f"python -m serving --run-dir '{tmp_path / 'a folder'}'" in out


@pytest.mark.parametrize(
    "text", ["", '{"done": 1', '{"done": 1, "total": 2, "seconds": 0, "rows": 1, "unit": "files"}\n']
)
def test_a_note_that_is_no_use_does_not_end_the_run(tmp_path, text):
    (tmp_path / "progress").write_text(text)
    assert StageLine(StageResult("ingest"), tmp_path / "progress").read_progress() == ""
