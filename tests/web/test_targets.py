"""A11: a redirect leads to a path of this site, nothing else."""

import pytest

from portal.web.targets import safe_target


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https://evil.example",
        "http:/evil.example",
        "javascript:alert(1)",
        "/%2f/evil.example",
        "/%5cevil.example",
        "/%252f%252fevil.example",
        "%2f%2fevil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "///evil.example",
        "evil.example",
        "",
        None,
        "/" + "a" * 3000,
        "/\x00",
    ],
)
def test_a11_targets_elsewhere_lead_home(target: str | None) -> None:
    assert safe_target(target) == "/"


@pytest.mark.parametrize("target", ["/", "/sessions/12", "/courses/?q=gpu&level=1", "/wallets/p-3/statement?from=2026-01-01", "/a%20b"])
def test_a11_own_paths_stay(target: str) -> None:
    assert safe_target(target) == target
