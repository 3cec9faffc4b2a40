"""Scores and rubrics. A missing score is missing: it is never counted as zero, and a mean says what it is made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from portal.core.errors import N_, Invalid


class BadRubric(Invalid):
    """The rubric's definition is not usable; `why` says where."""

    text = N_("The rubric cannot be used: %(why)s")


class BadScore(Invalid):
    """The score is not on the scale."""

    text = N_("Choose one of the marks of the scale.")


@dataclass(frozen=True)
class Criterion:
    """One line of a rubric; `low` and `high` say what the ends of the scale mean."""

    key: str
    label: Mapping[str, str]
    weight_percent: int
    low: Mapping[str, str]
    high: Mapping[str, str]
    help: Mapping[str, str]


@dataclass(frozen=True)
class Rubric:
    """Criteria on one scale from 1 to `scale_max`; the weights add up to 100."""

    criteria: tuple[Criterion, ...]
    scale_max: int

    @property
    def keys(self) -> frozenset[str]:
        """Return the criteria's keys."""
        return frozenset(criterion.key for criterion in self.criteria)


@dataclass(frozen=True)
class Mean:
    """A mean of the scores that there are: `count` of `of` reviews; `value` is None when there is none."""

    value: Fraction | None
    count: int
    of: int

    @property
    def is_complete(self) -> bool:
        """Return whether no score is missing."""
        return self.count == self.of


def parse_rubric(definition: Mapping[str, Any]) -> Rubric:
    """Return the rubric of a stored definition. Raises BadRubric."""
    try:
        criteria = tuple(
            Criterion(row["key"], row["label"], int(row["weight_percent"]), row["low"], row["high"], row.get("help", {})) for row in definition["criteria"]
        )
        scale_max = int(definition["scale_max"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadRubric(why=str(error)) from error
    if not criteria or len({row.key for row in criteria}) != len(criteria):
        raise BadRubric(why="criteria need keys of their own")
    if sum(row.weight_percent for row in criteria) != 100:
        raise BadRubric(why="weights add up to 100")
    if not 2 <= scale_max <= 10:
        raise BadRubric(why="the scale ends between 2 and 10")
    return Rubric(criteria, scale_max)


def parse_score(text: str, *, scale_max: int) -> int | None:
    """Return a score, None for nothing chosen. Raises BadScore."""
    if text == "":
        return None
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 2 and 1 <= int(text) <= scale_max):
        raise BadScore
    return int(text)


def mean(scores: Iterable[int | None], *, of: int) -> Mean:
    """Return the mean of the scores that are there."""
    given = [score for score in scores if score is not None]
    return Mean(Fraction(sum(given), len(given)) if given else None, len(given), of)


def weighted(scores: Mapping[str, int | None], rubric: Rubric) -> Fraction | None:
    """Return one review's weighted mean, None while a criterion is missing."""
    given = [(scores.get(row.key), row.weight_percent) for row in rubric.criteria]
    if any(score is None for score, _ in given):
        return None
    return Fraction(sum(score * weight for score, weight in given if score is not None), 100)


def mean_of_weighted(reviews: Sequence[Mapping[str, int | None]], rubric: Rubric) -> Mean:
    """Return the mean of the reviews that are complete."""
    values = [value for value in (weighted(scores, rubric) for scores in reviews) if value is not None]
    return Mean(sum(values, Fraction(0)) / len(values) if values else None, len(values), len(reviews))
