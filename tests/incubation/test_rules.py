"""Pure rules: questions, answers, page marks, scores, receipts."""

import copy
import hashlib
from fractions import Fraction

import pytest

from portal.incubation import defaults
from portal.incubation.rules import answers, marks, receipts, scores
from portal.incubation.rules.questions import BadForm, Question, QuestionKind, parse_form
from portal.incubation.rules.texts import said

FORM = parse_form(defaults.FORM)
RUBRIC = scores.parse_rubric(defaults.RUBRIC)


def question(kind: QuestionKind, **more: object) -> Question:
    return Question("key", kind, "section", {}, {}, is_required=bool(more.pop("is_required", True)), **more)  # type: ignore[arg-type]


def problem(kind: QuestionKind, raw: answers.Raw, **more: object) -> str | None:
    found = answers.problems(question(kind, **more), raw)
    return found[0].code if found else None


def test_default_form_is_answered_by_the_sample() -> None:
    assert answers.problems_of_form(FORM, defaults.SAMPLE_ANSWERS) == []
    assert answers.asked_ucr(FORM, defaults.SAMPLE_ANSWERS) == 320_000_000


def test_every_required_question_that_is_not_answered_is_named() -> None:
    found = answers.problems_of_form(FORM, {})

    assert [(error.code, error.field) for error in found] == [("missing", f"q_{one.key}") for one in FORM.questions if one.is_required]
    assert len(found) == 11


@pytest.mark.parametrize(
    ("kind", "raw", "more", "expected"),
    [
        (QuestionKind.NUMBER, "4", {"least": 1, "most": 50}, None),
        (QuestionKind.NUMBER, "0", {"least": 1}, "too_small"),
        (QuestionKind.NUMBER, "51", {"most": 50}, "too_large"),
        (QuestionKind.NUMBER, "-1", {}, "not_a_number"),
        (QuestionKind.NUMBER, "1e3", {}, "not_a_number"),
        (QuestionKind.NUMBER, "１２", {}, "not_a_number"),
        (QuestionKind.CREDITS, "12,5", {"least": 10}, None),
        (QuestionKind.CREDITS, "9.999999", {"least": 10}, "too_small"),
        (QuestionKind.CREDITS, "5000.000001", {"most": 5000}, "too_large"),
        (QuestionKind.CREDITS, "１２", {}, "not_credits"),
        (QuestionKind.CREDITS, "NaN", {}, "not_credits"),
        (QuestionKind.CREDITS, "-1", {}, "not_credits"),
        (QuestionKind.CREDITS, "1e30", {}, "not_credits"),
        (QuestionKind.YES_NO, "yes", {}, None),
        (QuestionKind.YES_NO, "maybe", {}, "unknown_option"),
        (QuestionKind.EMAIL, "a@b.ma", {}, None),
        (QuestionKind.EMAIL, "a@b", {}, "not_an_email"),
        (QuestionKind.EMAIL, "a b@c.ma", {}, "not_an_email"),
        (QuestionKind.URL, "https://example.org/x?y=1", {}, None),
        (QuestionKind.URL, "javascript:alert(1)", {}, "not_a_url"),
        (QuestionKind.URL, "https://[", {}, "not_a_url"),
        (QuestionKind.URL, "https://a b.ma", {}, "not_a_url"),
        (QuestionKind.SHORT_TEXT, "x" * 200, {}, None),
        (QuestionKind.SHORT_TEXT, "x" * 201, {}, "too_many_characters"),
        (QuestionKind.LONG_TEXT, "كلمة " * 100, {"max_words": 100}, None),
        (QuestionKind.LONG_TEXT, "كلمة " * 101, {"max_words": 100}, "too_many_words"),
        (QuestionKind.LONG_TEXT, "ا" * 2001, {"max_words": 100}, "too_many_characters"),
        (QuestionKind.LONG_TEXT, "", {"max_words": 100, "is_required": False}, None),
        (QuestionKind.LONG_TEXT, "", {"max_words": 100}, "missing"),
        (QuestionKind.MULTIPLE, [], {}, "missing"),
    ],
)
def test_answer_is_judged_by_its_kind(kind: QuestionKind, raw: answers.Raw, more: dict[str, object], expected: str | None) -> None:
    assert problem(kind, raw, **more) == expected


def test_choices_take_their_options_alone() -> None:
    stage, fields = FORM.by_key["stage"], FORM.by_key["fields"]

    assert answers.problems(stage, "pilot") == []
    assert [error.code for error in answers.problems(stage, "billion")] == ["unknown_option"]
    assert answers.problems(fields, ["health", "other"]) == []
    assert [error.code for error in answers.problems(fields, ["health", "magic"])] == ["unknown_option"]


def test_cleaning_drops_what_nobody_sees_and_keeps_lines() -> None:
    text = question(QuestionKind.LONG_TEXT, max_words=10)

    assert answers.cleaned(text, [" one\r\ntwo\x00\u200b \x1b"]) == "one\ntwo"
    assert answers.cleaned(text, []) == ""
    assert answers.cleaned(question(QuestionKind.MULTIPLE), ["a", "", "b", "a"]) == ["a", "b"]
    with pytest.raises(answers.TooLongToKeep):
        answers.cleaned(text, ["ن" * 50_001])


@pytest.mark.parametrize(
    "change",
    [
        lambda form: form["questions"][0]["label"].pop("ar"),
        lambda form: form["questions"][0].update(required=False),
        lambda form: form["questions"].append(form["questions"][1]),
        lambda form: form["questions"][1].update(section="nowhere"),
        lambda form: form["questions"][1].update(kind="essay"),
        lambda form: form["questions"][1].pop("max_words"),
        lambda form: form["questions"][3].pop("options"),
        lambda form: form["questions"][1].update(key="../x"),
        lambda form: form.pop("sections"),
    ],
)
def test_a_form_that_cannot_be_used_is_refused(change: object) -> None:
    form = copy.deepcopy(defaults.FORM)
    change(form)  # type: ignore[operator]

    with pytest.raises(BadForm):
        parse_form(form)


def test_marks_see_their_own_saves_and_nobody_elses_later_ones() -> None:
    mark = marks.PageMark.parse("00112233445566ff.7.")

    assert str(mark) == "00112233445566ff.7."
    assert mark.has_seen(page="another", revision=7)
    assert not mark.has_seen(page="another", revision=8)
    assert mark.has_seen(page="00112233445566ff", revision=99)
    assert marks.PageMark.fresh(3).page != marks.PageMark.fresh(3).page


@pytest.mark.parametrize("text", [None, "", "' OR 1=1", "00112233445566ff", "00112233445566ff.7.key", "00112233445566ff.7.=,", "x" * 100_000])
def test_a_mark_that_is_not_ours_has_seen_nothing(text: str | None) -> None:
    assert marks.PageMark.parse(text) == marks.PageMark("0" * 16, 0)


def test_a_mark_knows_which_fields_its_page_left_alone() -> None:
    mark = marks.PageMark.parse(str(marks.PageMark.fresh(1, {"goal": "كرمة", "fields": ["a", "b"]})))

    assert mark.left_alone("goal", "كرمة", page="another")
    assert mark.left_alone("fields", ["a", "b"], page="another")
    assert not mark.left_alone("goal", "changed", page="another")
    assert not mark.left_alone("fields", ["b", "a"], page="another")
    assert not mark.left_alone("goal", "كرمة", page=mark.page)
    assert mark.left_alone("never answered", "", page="another")
    assert mark.left_alone("never ticked", [], page="another")
    assert not mark.left_alone("never answered", "now", page="another")


def test_a_missing_score_is_missing_and_never_zero() -> None:
    full = {"problem": 4, "team": 5, "feasibility": 3, "computing": 4}
    partial = full | {"computing": None}

    assert scores.weighted(full, RUBRIC) == Fraction(4 * 25 + 5 * 20 + 3 * 30 + 4 * 25, 100)
    assert scores.weighted(partial, RUBRIC) is None
    assert scores.mean([4, None, 5], of=3) == scores.Mean(Fraction(9, 2), 2, 3)
    assert scores.mean([None], of=1) == scores.Mean(None, 0, 1)
    assert scores.mean_of_weighted([full, partial], RUBRIC) == scores.Mean(Fraction(39, 10), 1, 2)


@pytest.mark.parametrize("text", ["0", "6", "-1", "3.5", "٣", "abc", "111"])
def test_scores_off_the_scale_are_refused(text: str) -> None:
    with pytest.raises(scores.BadScore):
        scores.parse_score(text, scale_max=5)


def test_nothing_chosen_stays_nothing() -> None:
    assert scores.parse_score("", scale_max=5) is None
    assert scores.parse_score("5", scale_max=5) == 5


@pytest.mark.parametrize("change", [{"scale_max": 1}, {"criteria": []}, {"criteria": defaults.RUBRIC["criteria"][:3]}, {"criteria": [{"key": "x"}]}])
def test_a_rubric_that_cannot_be_used_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(scores.BadRubric):
        scores.parse_rubric(defaults.RUBRIC | change)


def test_the_receipt_is_the_hash_of_the_bytes_that_are_downloaded() -> None:
    content = {"b": "ب", "a": [1, "é"]}

    assert receipts.canonical(content) == '{"a":[1,"é"],"b":"ب"}'.encode()
    assert receipts.content_hash(content) == hashlib.sha256(receipts.canonical(content)).hexdigest()
    assert receipts.content_hash({"a": [1, "é"], "b": "ب"}) == receipts.content_hash(content)


def test_a_text_is_said_in_the_readers_language_or_marked_with_its_own() -> None:
    assert said({"en": "Call", "ar": "نداء"}, "ar").dir == "rtl"
    assert (said({"en": "Call"}, "ar").lang, said({"en": "Call"}, "ar").dir) == ("en", "ltr")
    assert said({}, "fr").text == ""
