"""The system's Chromium for tests: where it is, how it starts, and what must not be seen on a page.

Where there is none the tests are skipped and say so; in CI they fail instead.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

# Boxes that leave the page, and controls whose text is wider than they are.
SPILLS = """() => {
  const width = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > width) found.push('page is ' + document.documentElement.scrollWidth + ' wide');
  for (const el of document.querySelectorAll('body *')) {
    if (el.closest('svg, pre, thead, .visually-hidden, .skip, details:not([open]) > :not(summary), [hidden]')) continue;
    const box = el.getBoundingClientRect();
    if (box.width && (box.right > width + 1 || box.left < -1)) found.push(el.tagName + ' leaves the page: ' + el.textContent.trim().slice(0, 40));
    const tight = el.matches('.btn, .tag, .opt, td, th, dd, dt, .seg span, summary') && getComputedStyle(el).display !== 'inline';
    if (tight && el.clientWidth && el.scrollWidth > el.clientWidth + 2) found.push(el.tagName + ' is clipped: ' + el.textContent.trim().slice(0, 40));
  }
  return found;
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a running Chromium; skip where there is none, fail in CI."""
    if not Path(CHROMIUM).exists():
        message = f"no Chromium at {CHROMIUM}; install it or set CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
