"""The notebooks as documents: each keeps to the form that readers rely on. What they compute is compared by nbval."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from pipeline.hosted import REPOSITORY, ROOT
from pipeline.parameters import PARAMETERS
from pipeline.stages import STAGES

NAMES = ["01_ingest", "02_features", "03_train", "04_serve"]
NOTEBOOKS = {name: nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4) for name in NAMES}
each_notebook = pytest.mark.parametrize("name", NAMES)

LONGEST_CELL = 25
VARIES = {
    "a path": r"(/home/|/root/|/tmp/|/content/|/Users/)\w",
    "a time of day": r"\b\d{1,2}:\d{2}:\d{2}\b",
    "a duration": r"\b\d+(\.\d+)? ?(s|ms|seconds)\b",
    "an address": r"https?://(?!.*example)|127\.0\.0\.1|localhost",
    "a memory address": r"0x[0-9a-f]{6,}",
}


def code_cells(name):
    return [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]


def text_cells(name):
    return [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "markdown"]


def parameters_cell(name):
    (cell,) = (cell for cell in code_cells(name) if "parameters" in cell.metadata.get("tags", []))
    return cell


def printed(cell):
    """All text of a cell's outputs, as a reader sees it."""
    shown = []
    for output in cell.outputs:
        shown.append(output.get("text", ""))
        shown += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(shown)


def test_the_series_is_the_list_of_stages():
    assert [Path(stage.notebook).stem for stage in STAGES] == NAMES


@each_notebook
def test_opens_with_title_and_badge(name):
    title, badge = [line for line in NOTEBOOKS[name].cells[0].source.splitlines() if line][:2]
    assert title.startswith("# ")
    assert badge.startswith("[![Open In Colab]")
    assert f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks/{name}.ipynb" in badge


@each_notebook
def test_has_one_title_and_sections_in_sentence_case(name):
    lines = [line for cell in text_cells(name) for line in cell.source.splitlines() if line.startswith("#")]
    assert sum(line.startswith("# ") for line in lines) == 1
    for line in lines:
        heading = re.sub(r"`[^`]*`", "", line.lstrip("# "))
        words = [word for word in re.findall(r"[A-Za-z]+", heading)[1:] if word[0].isupper()]
        assert len(words) <= 2, f"{line!r} is not in sentence case"


@each_notebook
def test_setup_cell_is_the_same_in_all_but_its_first_line(name):
    first, *rest = code_cells(name)[0].source.splitlines()
    assert first.split("  #")[0] == f'STAGE = "{name[3:]}"'
    assert rest == code_cells(NAMES[0])[0].source.splitlines()[1:]
    assert f'"https://github.com/{REPOSITORY}"' in "\n".join(rest)


@each_notebook
def test_parameters_are_literals_of_the_demo_and_a_form_in_colab(name):
    demo = yaml.safe_load((ROOT / "params/demo.yaml").read_text())
    lines = parameters_cell(name).source.splitlines()
    for told, line in zip(lines[::2], lines[1::2], strict=True):
        (statement,) = ast.parse(line).body
        assert isinstance(statement, ast.AnnAssign), f"{line!r}: one annotated parameter a line"
        parameter = statement.target.id
        assert re.match(rf"# @markdown `{parameter}`: .", told), f"{told!r}: says what {parameter} is"
        form = re.search(r"  # @param ?(\{type:\"(string|integer|number|boolean)\"\}|\[.+\]|)$", line)
        assert form, f"{line!r}: says how a form asks for it"
        if form[1].startswith("["):
            assert json.loads(form[1]) == list(PARAMETERS[parameter].choices)
        if parameter != "RUN_DIR":
            assert ast.literal_eval(statement.value) == demo[parameter]


def test_every_parameter_of_the_files_belongs_to_a_notebook():
    declared = {
        statement.target.id
        for name in NAMES
        for statement in ast.parse(parameters_cell(name).source).body
        if isinstance(statement, ast.AnnAssign)
    }
    for file in (ROOT / "params").glob("*.yaml"):
        assert set(yaml.safe_load(file.read_text())) <= declared, file.name


@each_notebook
def test_cells_are_short_and_plain_python(name):
    assert 12 <= len(code_cells(name)) <= (42 if name == "03_train" else 30)  # it answers two questions
    for cell in code_cells(name):
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source[:80]
        ast.parse(cell.source)  # no `!` and no `%`: shell lines never raise, magics are not Python


@each_notebook
def test_stored_outputs_are_fresh_and_small(name):
    cells = code_cells(name)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert len(cell.outputs) <= 1, f"{cell.source[:60]!r} has {len(cell.outputs)} outputs"
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
        assert len(printed(cell)) < 20_000


@each_notebook
def test_stored_outputs_hold_nothing_that_varies(name):
    for cell in code_cells(name):
        text = re.sub(r"<style.*?</style>", "", printed(cell), flags=re.DOTALL)
        for what, pattern in VARIES.items():
            found = re.search(pattern, text)
            assert not found, f"{what} in an output of {cell.source[:60]!r}: {found.group()!r}"


@each_notebook
def test_sections_end_with_a_check(name):
    checks = [cell for cell in code_cells(name) if re.search(r"^ok: ", printed(cell), re.MULTILINE)]
    sections = [cell for cell in text_cells(name) if re.search(r"^## \d", cell.source, re.MULTILINE)]
    assert len(checks) >= len(sections) - 1, "a section ends with a check that prints one `ok:` line"


@each_notebook
def test_charts_are_there(name):
    pictures = [cell for cell in code_cells(name) for output in cell.outputs if "image/png" in output.get("data", {})]
    assert pictures


@each_notebook
def test_nothing_secret_is_a_parameter(name):
    assert not re.search(r"token|password|secret|key", parameters_cell(name).source, re.IGNORECASE)


OF_NO_DATA = {"0%", "1%", "10%", "80%", "90%", "100%"}  # percentages by definition
OF_WHICH_DATA = ("Demo:", "652 symbols", "NBER")


@each_notebook
def test_a_result_in_the_text_says_of_which_data_it_is(name):
    """The text stands below the outputs of any run: of the whole market, of somebody's own folder."""
    for paragraph in (part for cell in text_cells(name) for part in cell.source.split("\n\n")):
        results = set(re.findall(r"\d+(?:\.\d+)?%", paragraph)) - OF_NO_DATA
        assert not results or any(word in paragraph for word in OF_WHICH_DATA), (results, paragraph)
