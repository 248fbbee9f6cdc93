"""Faults of training: odd histories, and answers that hang on luck or on how the work was shared out."""

from tests.faults.fault import Fault

W, N = "tests/forecasting/test_walk.py", "tests/forecasting/test_next_day.py"
J, C = "tests/forecasting/test_judgement.py", "tests/forecasting/test_counts.py"

TRAINING = [
    Fault("a feature unknown in every row", "trains", (f"{W}::test_small_markets_can_be_walked_as_well",)),
    Fault(
        "a symbol pauses for a year",
        "no feature reads its target",
        (f"{N}::test_after_a_long_pause_no_habit_sees_the_future",),
    ),
    Fault(
        "a gap of two years in the test",
        "fewer folds, no error",
        (f"{N}::test_a_fold_that_nothing_calibrates_is_not_made",),
    ),
    Fault("damaged or absent interval scores", "the report leaves them out", ("tests/reports/test_model_tables.py",)),
    Fault(
        "scores that hang on how parts are shared out",
        "equal from one task and many",
        (f"{J}::test_the_scores_are_the_same_from_one_task_and_from_many",),
    ),
    Fault(
        "a winner by luck",
        "within chance the grid is taken",
        ("tests/forecasting/test_champion.py::test_within_chance_the_grid_goes_before_a_constant",),
    ),
    Fault(
        "a misprinted far day",
        "outweighs nothing",
        (f"{C}::test_a_day_long_ago_or_far_ahead_neither_stretches_nor_breaks_the_weights",),
    ),
    Fault(
        "drawn rows held several times over, features of whole parts",
        "some parts, some symbols at a time; the same rows",
        (
            "tests/forecasting/test_next_day.py::test_a_draw_repeats_whatever_the_order_of_parts",
            "tests/forecasting/test_next_day.py::test_features_are_the_same_for_any_number_of_symbols_at_a_time",
        ),
    ),
    Fault(
        "values that trees do not know",
        "learned from all the same, in pieces",
        (
            "tests/forecasting/test_trees.py::test_trees_learn_from_what_is_unknown",
            "tests/forecasting/test_trees.py::test_pieces_change_no_answer",
        ),
    ),
]
