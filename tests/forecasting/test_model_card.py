"""The model card, as the library of the place where models are published reads it."""

import pandas as pd
from huggingface_hub import ModelCard

from pipeline.forecasting.model_card import write_model_card

SCORES = {"mae": 419_644.2, "rmse": 2e6, "r2": 0.868, "wape": 0.3, "rmsle": 0.4, "skill": 0.137}
TASK = {"champion": "grid", "calibration_from": "2015-01-01", "test_from": "2018-01-01", "coverage": 0.8}


def test_the_head_is_read_by_machines_and_the_text_by_people(tmp_path):
    metrics = {task: TASK | {"models": {"grid": SCORES}} for task in ("same_day", "next_day")}
    rows = pd.DataFrame({"used": [10, 20]}, index=["1 train", "3 test"])
    contents = {"trained": ["1999-01-01", "2020-01-01"], "data_version": "abc", "ranges": {"vol_moving_avg": [1, 2]}}
    write_model_card(tmp_path, metrics, rows, contents, {"The grid": tmp_path / "grid.png"})
    card = ModelCard.load(tmp_path / "model_card.md")
    found = {(one.task_name, one.metric_type): one.metric_value for one in card.data.eval_results}
    assert found["Volume of the next day", "mae"] == SCORES["mae"]
    assert found["Volume of the day", "r_squared"] == SCORES["r2"]
    assert card.data.license == "mit"
    assert card.text.lstrip().startswith("# Model card")
