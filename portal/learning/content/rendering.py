"""A block's Markdown into pieces of a page, cached by its content.

No HTML of the author's comes through: it is shown as text. What Markdown makes is cleaned once more by an
allow-list; formulas, drawings and coloured code are made here and put in afterwards, in place of marks that
no text can contain. Latin words and numbers inside Arabic are isolated by themselves.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape
from mdit_py_plugins.attrs import attrs_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES

from portal.learning.content import figures as drawings
from portal.learning.content.maths import BadFormulaError, mathml
from portal.learning.content.model import Figure

# The languages that code may be in, with the names that readers see.
CODE_LANGUAGES = {"python": "Python", "bash": "Shell", "yaml": "YAML", "json": "JSON", "sql": "SQL", "c": "C", "cpp": "C++", "text": "", "output": ""}
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_IMAGE = re.compile(r"figures/([a-z][a-z0-9-]*)\.svg")
# Runs that read left to right: a number with sign, groups and unit, or Latin words in a row.
_NUMBER = r"[+\u2212-]?\d[\d\u202f\u00a0.,:/×–-]*(?<![.,:/×–-])(?:[\u202f\u00a0 ]?(?:%|[A-Za-zµ]+(?:/[A-Za-z]+)?(?![A-Za-z])))?"
_WORD = r"[A-Za-z0-9_./+#'’-]*[A-Za-z0-9_+#]"
_LATIN = rf"[A-Za-z](?:{_WORD})?(?:\([A-Za-z0-9_, ]*\))?(?:[ \u00a0][A-Za-z0-9](?:{_WORD})?)*"
_RUN = re.compile(f"(?P<number>{_NUMBER})|(?P<latin>{_LATIN})")
_FORMATTER = HtmlFormatter(nowrap=True, classprefix="")

_TAGS = {
    *("p", "h2", "h3", "h4", "ul", "ol", "li", "strong", "em", "code", "pre", "a", "blockquote", "br", "hr", "bdi", "span", "sub", "sup"),
    *("div", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "td": {"data-l"}, "ol": {"start"}}
_LANGUAGES, _DIRECTIONS = {"en", "fr", "ar"}, {"ltr", "rtl", "auto"}
_VALUES: dict[str, dict[str, set[str]]] = {
    **{tag: {"lang": _LANGUAGES, "dir": _DIRECTIONS} for tag in ("p", "span", "bdi", "li", "blockquote", "code", "pre", "em", "strong")},
    "th": {"scope": {"col", "row"}},
}
_CLASSES = {
    "table": {"table", "table-fold"},
    "div": {"mt-4", "mb-4"},
    "th": {"n", "wide"},
    "td": {"n", "wide"},
    "bdi": {"num"},
    "span": {name for name in STANDARD_TYPES.values() if name},
}


@dataclass(frozen=True)
class Segment:
    """A piece of a block. kind: "html", "code", "output", "formula", "figure"; the template frames the last four.

    label: the name of the code's language, or a figure's caption. number: counts code pieces, for their ids.
    """

    kind: str
    html: Markup
    label: str = ""
    number: int = 0


@dataclass(frozen=True)
class Rendered:
    """A block as pieces, and what could not be shown, as (line in the block, what, fix)."""

    segments: tuple[Segment, ...]
    problems: tuple[tuple[int, str, str], ...]


@dataclass
class _Work:
    """What one rendering gathers."""

    language: str
    figures: Mapping[str, Figure]
    kept: list[str] = field(default_factory=list)
    problems: list[tuple[int, str, str]] = field(default_factory=list)
    line: int = 1

    def keep(self, trusted: str) -> str:
        """Return the mark that stands for markup made here."""
        self.kept.append(trusted)
        return f"{_OPEN}{len(self.kept) - 1}{_CLOSE}"

    def wrong(self, what: str, fix: str) -> None:
        """Note a problem of the present line."""
        self.problems.append((self.line, what, fix))


@lru_cache(maxsize=1024)
def render(text: str, language: str, figures: tuple[Figure, ...] = ()) -> Rendered:
    """Return a block's text as pieces in its language."""
    work = _Work(language, {figure.name: figure for figure in figures})
    tokens = _MARKDOWN.parse(text.translate({ord(_OPEN): None, ord(_CLOSE): None}), {"work": work})
    segments: list[Segment] = []
    for kind, group in _groups(tokens):
        work.line = (group[0].map or [0])[0] + 1
        segment = _segment(kind, group, work, number=sum(piece.kind == "code" for piece in segments))
        if segment is not None:
            segments.append(segment)
    return Rendered(tuple(segments), tuple(work.problems))


def _units(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield what stands at the top level, one after another, each with all that is inside it."""
    unit: list[Token] = []
    for token in tokens:
        unit.append(token)
        if token.level == 0 and token.nesting != 1:
            yield unit
            unit = []


def _groups(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    """Cut the tokens into pieces: code, formulas and figures of the top level alone, everything else together."""
    groups: list[tuple[str, list[Token]]] = []
    for unit in _units(tokens):
        kind = _kind(unit)
        if kind == "html" and groups and groups[-1][0] == "html":
            groups[-1][1].extend(unit)
        else:
            groups.append((kind, unit))
    return groups


def _kind(unit: Sequence[Token]) -> str:
    if unit[0].type in {"fence", "code_block"}:
        return "code"
    if unit[0].type == "math_block":
        return "formula"
    children = (unit[1].children or []) if unit[0].type == "paragraph_open" else []
    return "figure" if len(children) == 1 and children[0].type == "image" else "html"


def _segment(kind: str, group: list[Token], work: _Work, *, number: int) -> Segment | None:
    if kind == "code":
        return _code(group[0], work, number)
    if kind == "formula":
        return Segment("formula", Markup(_formula(group[0].content, work, is_display=True)))  # noqa: S704 -- cleaned by maths
    if kind == "figure":
        return _figure((group[1].children or [])[0], work)
    return Segment("html", _clean(_MARKDOWN.renderer.render(group, _MARKDOWN.options, {"work": work}), work))


def _clean(html: str, work: _Work) -> Markup:
    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        tag_attribute_values=_VALUES,
        allowed_classes=_CLASSES,
        url_schemes={"https", "mailto"},
        link_rel="noopener noreferrer",
    )
    return Markup(_MARK.sub(lambda mark: work.kept[int(mark[1])], cleaned))  # noqa: S704 -- cleaned, and the marks are ours


def _code(token: Token, work: _Work, number: int) -> Segment:
    name = token.info.strip() or "text"
    if name == "output":
        return Segment("output", escape(token.content.rstrip("\n")))
    if name not in CODE_LANGUAGES:
        work.wrong(f"“{name}” is not a known language of code.", f"Known: {', '.join(sorted(CODE_LANGUAGES))}.")
        name = "text"
    coloured = highlight(token.content.rstrip("\n"), get_lexer_by_name(name), _FORMATTER)
    cleaned = nh3.clean(coloured.rstrip("\n"), tags={"span"}, attributes={}, allowed_classes={"span": _CLASSES["span"]})
    return Segment("code", Markup(cleaned), label=CODE_LANGUAGES[name], number=number)  # noqa: S704 -- cleaned above


def _formula(latex: str, work: _Work, *, is_display: bool) -> str:
    try:
        return mathml(latex, is_display=is_display)
    except BadFormulaError as error:
        work.wrong(f"The formula “{latex.strip()[:60]}” cannot be read: {error}.", "Write LaTeX as in the other lessons; \\text{…} takes words.")
        return f'<code dir="ltr">{escape(latex.strip())}</code>'


def _figure(token: Token, work: _Work) -> Segment | None:
    source, alternative = str(token.attrGet("src") or ""), token.content
    match = _IMAGE.fullmatch(source)
    figure = work.figures.get(match[1]) if match else None
    if figure is None:
        work.wrong(f"There is no figure “{source}”.", "A figure is an SVG file in the lesson's folder figures/: ![what it shows](figures/name.svg).")
        return None
    if not alternative.strip():
        work.wrong(f"The figure “{source}” has no text for those who do not see it.", "Write what it shows between the square brackets.")
    title = str(token.attrGet("title") or "")
    caption = Markup(isolated(title) if work.language == "ar" else escape(title))  # noqa: S704 -- escaped in both cases
    drawn = drawings.inline(figure, alternative=alternative, language=work.language)
    return Segment("figure", Markup(drawn), label=caption)  # noqa: S704 -- written from the allow-list


class _Renderer(RendererHTML):
    """What Markdown makes, with the house's tables, isolated runs and kept formulas."""

    def text(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return plain text; inside Arabic, Latin words and numbers are isolated."""
        content = tokens[index].content
        return isolated(content) if env["work"].language == "ar" else str(escape(content))

    def em_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return the beginning of emphasis: Arabic has no italics."""
        return "<strong>" if env["work"].language == "ar" else "<em>"

    def em_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Close emphasis."""
        return "</strong>" if env["work"].language == "ar" else "</em>"

    def code_inline(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return code, which reads left to right everywhere."""
        return f'<code dir="ltr">{escape(tokens[index].content)}</code>'

    def fence(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return code inside a list or a quotation: plain, without a frame."""
        return f'<pre dir="ltr"><code dir="ltr">{escape(tokens[index].content)}</code></pre>'

    def code_block(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return indented code inside a list or a quotation."""
        return self.fence(tokens, index, options, env)

    def math_inline(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return a formula in a line."""
        work: _Work = env["work"]
        return work.keep(_formula(tokens[index].content, work, is_display=False))

    def math_block(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return a formula of its own inside a list or a quotation."""
        work: _Work = env["work"]
        return f"<p>{work.keep(_formula(tokens[index].content, work, is_display=True))}</p>"

    def image(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return only the words of an image in a line: figures stand alone, and nothing is loaded from elsewhere."""
        env["work"].wrong(f"The image “{tokens[index].attrGet('src')}” stands inside a line.", "Give it a paragraph of its own; its file lies in figures/.")
        return str(escape(tokens[index].content))

    def heading_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return a heading below the page's own."""
        if tokens[index].tag == "h1":
            env["work"].wrong("A heading of the first level stands in the text.", "The title comes from course.yaml: begin with ##.")
        return f"<{_heading(tokens[index])}>"

    def heading_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Close a heading."""
        return f"</{_heading(tokens[index])}>"

    def table_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return a table that folds into rows on a phone."""
        _label_cells(tokens, index)
        return '<div class="mt-4 mb-4"><table class="table table-fold">'

    def table_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Close a table."""
        return "</table></div>"

    def th_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return the head of a column; figures stand at the end."""
        return '<th scope="col" class="n">' if _is_figure(tokens[index]) else '<th scope="col">'

    def td_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return a cell; the first of a row names it."""
        token = tokens[index]
        if token.meta.get("names_row"):
            return '<th scope="row" class="wide">'
        # On a phone each cell has a line of its own: labels of lessons are long.
        css = "n wide" if _is_figure(token) else "wide"
        return f'<td data-l="{escape(token.meta.get("label", ""))}" class="{css}">'

    def td_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Close a cell."""
        return "</th>" if tokens[index].meta.get("names_row") else "</td>"


def _heading(token: Token) -> str:
    return {"h1": "h2", "h2": "h2", "h3": "h3"}.get(token.tag, "h4")


def _is_figure(token: Token) -> bool:
    return "right" in str(token.attrGet("style") or "")


def _label_cells(tokens: Sequence[Token], index: int) -> None:
    """Give every cell the words of its column, and the first of a row its part as the row's name."""
    heads: list[str] = []
    column = 0
    for position in range(index + 1, len(tokens)):
        token = tokens[position]
        if token.type == "table_close":
            return
        if token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            heads.append(_plain(tokens[position + 1]))
        elif token.type == "td_open":
            token.meta = {"names_row": column == 0, "label": heads[column] if column < len(heads) else ""}
        elif token.type == "td_close":
            token.meta = {"names_row": column == 0}
            column += 1


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or [] if child.type in {"text", "code_inline"})


def isolated(text: str) -> str:
    """Return plain text as markup in which numbers and Latin words keep their own direction."""
    out, last = "", 0
    for run in _RUN.finditer(text):
        attributes = ' class="num" dir="ltr"' if run["number"] else ""
        out += f"{escape(text[last : run.start()])}<bdi{attributes}>{escape(run[0])}</bdi>"
        last = run.end()
    return out + str(escape(text[last:]))


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False}, renderer_cls=_Renderer)
    parser.enable("table")
    parser.use(dollarmath_plugin, allow_space=False, allow_digits=False, double_inline=False)
    parser.use(attrs_plugin, spans=True, allowed=["lang", "dir"])
    # The plug-in brings rules of its own; ours clean what they make.
    parser.renderer.rules["math_inline"] = parser.renderer.math_inline  # type: ignore[attr-defined]
    parser.renderer.rules["math_block"] = parser.renderer.math_block  # type: ignore[attr-defined]
    return parser


_MARKDOWN = _make_parser()
