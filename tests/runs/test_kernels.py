"""The kernels of a run begin before their notebooks: which one a notebook gets, and what becomes of one that nobody
uses.
"""

import nbformat
import papermill
import psutil
import pytest

from pipeline.runs.kernels import Kernels, begin_kernel, make_manager


@pytest.fixture
def kernels(tmp_path):
    kernels = Kernels(tmp_path, tmp_path / "run.log")
    yield kernels
    kernels.drop()


def run_cell(kernels: Kernels, source: str) -> str:
    """What a notebook of one cell prints."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, kernels.folder / "asked.ipynb")
    with kernels.use() as kernel:
        executed = papermill.execute_notebook(
            str(kernels.folder / "asked.ipynb"),
            str(kernels.folder / "answered.ipynb"),
            kernel_name="python3",
            progress_bar=False,
            kernel_manager_class=make_manager(kernel),
        )
        assert not kernel.home.exists() or kernel.process.poll() is not None, "it outlives its notebook"
    assert not kernel.home.exists()
    return executed.cells[0].outputs[0].text.strip()


def test_a_notebook_gets_the_kernel_that_has_begun(kernels, tmp_path):
    (tmp_path / "pandas.py").write_text("raise ImportError('a file beside the notebooks')")
    kernels.prepare()
    begun = kernels.next.process.pid
    kernels.prepare()
    assert kernels.next.process.pid == begun, "one waited already"
    assert run_cell(kernels, "import os, sys; print(os.getpid(), 'pandas' in sys.modules)") == f"{begun} True"
    assert run_cell(kernels, "import os; print(os.getpid())") != str(begun)


def test_a_kernel_that_died_while_it_waited_is_replaced(kernels):
    kernels.prepare()
    dead = kernels.next
    dead.process.kill()
    dead.process.wait()
    assert run_cell(kernels, "print('here')") == "here"
    assert not dead.home.exists()


def test_a_kernel_that_nobody_uses_ends(kernels):
    kernels.prepare()
    waiting = kernels.next
    kernels.drop()
    assert not psutil.pid_exists(waiting.process.pid) and not waiting.home.exists()


def test_a_kernel_ends_with_a_run_that_tells_it_nothing(tmp_path):
    """The system closes a dead run's ends of pipes."""
    kernel = begin_kernel(tmp_path, tmp_path / "run.log")
    kernel.process.stdin.close()
    assert kernel.process.wait(60) == 0
    assert (tmp_path / "run.log").read_text() == ""
    kernel.home.rmdir()
