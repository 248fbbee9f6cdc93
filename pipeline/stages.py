"""The one list of stages: what `run_all.py`, the notebooks and the schedulers in deploy/ go by."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A notebook, the datasets that its results are made of, and those that it publishes into the run folder.

    adds_to: datasets that it only adds rows to. They are no results that could be made again.
    """

    name: str
    notebook: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    adds_to: tuple[str, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """All that it publishes into."""
        return (*self.writes, *self.adds_to)


STAGES = (
    Stage("ingest", "01_ingest.ipynb", reads=(), writes=("prices", "symbols", "quarantine")),
    Stage("features", "02_features.ipynb", reads=("prices",), writes=("features",)),
    Stage("train", "03_train.ipynb", reads=("features", "symbols"), writes=("model",), adds_to=("forecasts", "scores")),
    Stage("serve", "04_serve.ipynb", reads=("model",), writes=()),
)
