"""What the hub says when it starts nothing: every reason, in the reader's language, with the way back."""

import re
from pathlib import Path

import pytest

from portal.hub_plugin import portal_client, refusals, spawner, tickets

CODE = "".join(Path(module.__file__ or "").read_text(encoding="utf-8") for module in (spawner, tickets))
REASONS = {code for codes in portal_client.REFUSALS.values() for code in codes} | set(re.findall(r'(?:_refused|refusal)\("(\w+)"', CODE))


def test_every_reason_that_the_code_names_has_its_texts() -> None:
    assert {"no_ticket", "ended_early", "ticket_used"} <= REASONS
    assert set(refusals._REFUSALS) == REASONS


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_refusal_speaks_three_languages_and_leads_back(reason: str) -> None:
    refused = refusals.refusal(reason, status=403, portal_url="https://portal.example.org/?a=1&b=<2>")

    found = re.findall(r'<span lang="(\w+)" dir="(\w+)">(.+?) <a href="([^"]+)">', refused.message_html)
    assert [(code, direction) for code, direction, _, _ in found] == [("en", "ltr"), ("fr", "ltr"), ("ar", "rtl")]
    assert len({text for _, _, text, _ in found}) == 3
    assert {address for *_, address in found} == {"https://portal.example.org/?a=1&amp;b=&lt;2&gt;/"}
    assert refused.reason == reason
