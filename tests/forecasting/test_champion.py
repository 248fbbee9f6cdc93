"""A champion is better by more than chance, or knows more about a row."""

import numpy as np
import pytest

from pipeline.forecasting.champion import choose_champion

WEEKS = 156


@pytest.fixture
def naive() -> np.ndarray:
    """Errors by week: market-wide luck moves all models alike."""
    return np.random.default_rng(1).lognormal(10, 0.4, WEEKS)


def test_a_model_that_is_better_week_by_week_is_crowned_though_weeks_differ_more_than_models(naive):
    choice = choose_champion({"naive": naive, "linear": 1.2 * naive, "naive_scaled": 0.99 * naive})
    assert (choice.champion, choice.alike) == ("naive_scaled", ())
    assert "more than chance" in choice.explain()


def test_within_chance_the_grid_goes_before_a_constant(naive):
    noise = np.random.default_rng(2).normal(0, 0.05, WEEKS)
    grid = naive * (1 + noise - noise.mean())
    grid *= 1.0002 * naive.sum() / grid.sum()  # the constant is better by less than its luck
    choice = choose_champion({"naive": 1.05 * naive, "naive_scaled": naive, "grid": grid})
    assert (choice.champion, choice.best, choice.alike) == ("grid", "naive_scaled", ("grid",))
    assert choice.explain() == (
        "naive_scaled has the smallest error, but by no more than chance against grid; of all of them grid is taken"
    )


def test_one_good_week_makes_no_champion(naive):
    lucky = 1.001 * naive
    lucky[7] *= 0.2
    choice = choose_champion({"naive_scaled": naive, "grid": naive, "linear": lucky})
    assert (choice.champion, choice.best, choice.alike) == ("grid", "linear", ("naive_scaled", "grid"))
    assert choose_champion({"naive": naive, "linear": lucky}).champion == "linear"


def test_where_all_are_equal_a_model_is_chosen_and_nothing_is_claimed():
    none = np.zeros(WEEKS)
    choice = choose_champion({"naive": none, "grid": none})
    assert choice.champion == "grid" and choice.alike
