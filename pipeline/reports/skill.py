"""Counts, shares, and how an error compares with another one: in the same words wherever they are told."""

LEAST = 0.001  # of the other error: less is no difference that anybody can use


def tell_count(count: int, noun: str) -> str:
    """A count of something: "1 row", "1,234 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def find_skill(error: float, base: float) -> float:
    """The share of the base error that is gone: 0.052 where the error is 5.2% smaller. 0 where the base is 0."""
    return 1 - error / base if base else 0.0


def tell_share(share: float) -> str:
    """A share in percent. Only what is nothing at all reads as nothing: a few of many are "under 0.01%"."""
    return "0%" if not share else "under 0.01%" if share < 0.0001 else f"{share:.2%}"


def tell_skill(skill: float) -> str:
    """A share of an error in words: "5.2% better", "5.2% worse", or "equal" where it is below 0.1%."""
    if abs(skill) < LEAST:
        return "equal"
    return f"{abs(skill):.1%} {'better' if skill > 0 else 'worse'}"
