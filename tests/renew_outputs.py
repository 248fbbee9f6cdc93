"""Run the notebooks with their own defaults and store what they print: python -m tests.renew_outputs [01_ingest ...]

The stored outputs are what GitHub shows and what the tests compare with. Notebooks later in the series than a renewed
one read what it published, so renewing all is the rule and naming some is for work on one of them.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from pipeline.spark.server import connect_server
from pipeline.stages import STAGES

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}


def renew(notebook: Path) -> None:
    """Execute one notebook in its own folder and write it back, without what differs between two runs or machines."""
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        timeout=1200,
        kernel_name="python3",
        resources={"metadata": {"path": notebook.parent}},
        extra_arguments=["--log-level=ERROR"],
    )
    client.execute()
    content.metadata = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    for cell in content.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
    nbformat.write(content, notebook)


def main(names: list[str]) -> None:
    os.environ["TQDM_DISABLE"] = "1"
    with connect_server("local[*]", NOTEBOOKS.parent / "outputs" / "renew-spark.log") as server:
        os.environ["SPARK_REMOTE"] = server.address
        for stage in STAGES:
            if not names or Path(stage.notebook).stem in names:
                print(f"renewing {stage.notebook}", flush=True)
                renew(NOTEBOOKS / Path(stage.notebook).name)


if __name__ == "__main__":
    main(sys.argv[1:])
