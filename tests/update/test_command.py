"""`python -m pipeline.update` as a person calls it: what it says, and its exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.update.__main__ import main
from pipeline.update.bars import format_bars
from pipeline.update.folder import hold_folder
from tests.update.market import QUICK, read_folder
from tests.update.stand_in import Security, evening

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(monkeypatch, capsys):
    """`call(market, *arguments)`: exit code, standard output and error of the command."""

    def run(market, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["update", *make_arguments(market), *arguments])
        try:
            code = main()
        except SystemExit as usage:
            code = usage.code
        return code, *capsys.readouterr()

    return run


def make_arguments(market) -> list[str]:
    options = {"--data-dir": market.root, "--rate": QUICK, "--as-of": market.state.now.isoformat()}
    return [str(word) for option in options.items() for word in option]


@pytest.fixture
def five(open_market, real_bars, days):
    """Five symbols that lack three days."""
    market = open_market([Security(name, real_bars[0]) for name in "ABCDE"], days[-4])
    market.state.now = evening(days[-1])
    return market


def test_outcomes_are_told_and_the_second_call_has_nothing_to_do(call, five, days):
    code, told, errors = call(five)
    assert (code, errors) == (0, "")
    assert told.count("personal use") == 1
    assert f"5 of 5 symbols have the session of {days[-1]}." in told
    assert "appended  5" in told
    code, told, errors = call(five)
    assert (code, errors, len(five.state.log)) == (0, "", 5)
    assert "personal use" not in told


@pytest.mark.parametrize("listed", [True, False])
def test_symbols_come_from_a_file_or_a_list(call, five, tmp_path, listed):
    (tmp_path / "followed.txt").write_text("\N{BOM}B\r\n\r\nD")
    assert call(five, "--symbols", "B,D" if listed else str(tmp_path / "followed.txt"))[0] == 0
    assert five.state.log == ["B", "D"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--symbols", "nowhere.txt"], "'nowhere.txt' is not a symbol"),
        (["--symbols", ""], "names no symbol"),
        (["--symbols", "AAPL,A/B"], "'A/B' is not a symbol"),
        (["--rate", "0"], "above 0"),
        (["--rate", "fast"], "above 0"),
        (["--rate", "inf"], "above 0"),
        (["--as-of", "yesterday"], "2021-01-27T20:15-05:00"),
        (["--as-of", "2021-01-27T20:15"], "time zone"),
        (["--as-of", "2999-01-27T20:15-05:00"], "and now"),
        (["--rat"], "expected one argument"),
        (["--fast"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_ends_it_before_anything_is_asked(call, five, arguments, words):
    code, _, errors = call(five, *arguments)
    assert code == 2
    assert words in errors
    assert "Traceback" not in errors
    assert not five.state.log


def test_too_many_stale_symbols_are_a_failure(call, five, days):
    for one in list(five.state.securities.values())[:3]:
        one.late.add(days[-1])
    code, told, errors = call(five)
    assert code == 4
    assert "error: 3 of 5 symbols" in errors
    assert "(3 behind)" in errors
    assert "no whole row after" in told


def test_a_server_that_always_refuses_is_not_stormed(call, five):
    five.state.refusals = 10**6
    code, _, errors = call(five)
    assert code == 3
    assert "refused 3 times in a row" in errors
    assert five.state.log == ["A"] * 3
    assert sum(five.state.hosts.values()) <= 6  # the directory, a cookie, a crumb


def test_a_folder_that_cannot_be_one_is_named(call, five, tmp_path):
    five.root = tmp_path / "archive.zip"
    five.root.write_text("PK")
    code, _, errors = call(five)
    assert code == 3
    assert "archive.zip is not a folder" in errors


def test_a_second_update_of_the_same_folder_is_refused(call, five):
    with hold_folder(five.root):
        code, _, errors = call(five)
    assert code == 6
    assert "Another update holds" in errors
    assert not five.state.log


@pytest.mark.parametrize("library", ["yfinance", "yfinance.config", "curl_cffi"])  # older releases have no config
def test_without_its_libraries_it_says_how_to_install_them(tmp_path, monkeypatch, capsys, library):
    monkeypatch.delitem(sys.modules, "pipeline.update.yahoo", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(sys, "argv", ["update", "--data-dir", str(tmp_path / "market")])
    assert main() == 5
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    assert "pip install -r pipeline/update/requirements.txt" in told
    assert not (tmp_path / "market").exists()


def test_a_full_disk_leaves_every_file_whole(call, five, tmp_path):
    if os.getuid() != 0:
        pytest.skip("a small disk can be mounted by root only")
    small = tmp_path / "small"
    small.mkdir()
    size = sum(len(data) for data in read_folder(five.root).values()) * 5 // 4
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(small)]).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        subprocess.run(f"cp -r {five.root}/. {small}", shell=True, check=True)
        five.root = small
        before = read_folder(small)
        for name in "FGH":
            five.state.securities[name] = Security(name, five.state.securities["A"].bars)
        code, _, errors = call(five)
        assert code == 5
        assert "cannot be written (No space left on device)" in errors
        assert "Traceback" not in errors
        truth = format_bars(five.state.securities["A"].bars)
        assert all(data in (before.get(path), truth) for path, data in read_folder(small).items())
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_an_update_whose_reader_has_gone_goes_on(five, real_bars):
    command = [sys.executable, "-m", "pipeline.update", *make_arguments(five)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")
    assert all(five.read(name) == format_bars(real_bars[0]) for name in "ABCDE")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_update_ends_at_once_and_the_next_goes_on(call, five, number):
    five.state.faults = {"C": ["hang"]}
    command = [sys.executable, "-OO", "-m", "pipeline.update", *make_arguments(five)]
    homeless = os.environ | {"HOME": os.devnull}  # where the client cannot keep its cookies
    process = subprocess.Popen(
        command, cwd=ROOT, env=homeless, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert five.state.hanging.wait(60)
        process.send_signal(number)
        errors = process.communicate(timeout=25)[1]  # the client itself would wait for 30 seconds
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert "goes on from here" in errors
    assert "Traceback" not in errors
    five.state.log.clear()
    assert call(five)[0] == 0
    assert five.state.log == ["C", "D", "E"]
