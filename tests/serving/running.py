"""What the tests of a running server ask, and where it is started."""

from pathlib import Path

import serving.server

ROOT = Path(serving.server.__file__).parents[1]
QUESTION = "/predict?vol_moving_avg=11500&adj_close_rolling_med=25"
