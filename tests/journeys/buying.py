"""Buying credits by card through the stand-in for Stripe, and getting the money back; on real processes and jobs."""

import re
import time

from tests.journeys.browser import Browser, PageError
from tests.journeys.programme import Founder, mail_to
from tests.journeys.world import World

BILLED = {"name": "شركة أطلس", "address": "12، شارع محمد الخامس\n93000 تطوان", "tax_id": "ICE 001234567000089"}
TOTAL = "1\u202f140.00\u202fMAD"
PATIENCE_S = 30


def buy(world: World, founder: Founder) -> str:
    """Order 100 credits in dirhams, pay at the payment page, and read credits, invoice and mail."""
    page = founder.browser.get(f"/wallets/{founder.project}/buy")
    page.submit({"quantity": "100", "method": "card", **BILLED}, having="quantity")
    assert TOTAL in page.html, page.text[:800]
    page.submit(having="quantity")
    found = re.search(r"/purchases/(\d+)/checkout", page.path)
    number = found[1] if found else ""
    _until(page, f"/purchases/{number}/checkout" if number else page.url, lambda: "/pay/" in page.path)
    page.submit(button="pay")
    purchase = re.search(r"/purchases/(\d+)", page.path)
    assert purchase is not None, page.url
    founder.purchase = int(purchase[1])
    _until(page, f"/purchases/{founder.purchase}", lambda: "The credits are in the wallet" in page.text)
    invoice = re.search(r"INV-\d{4}-\d{6}", page.html)
    assert invoice is not None, page.text[:800]
    pdf = Browser(world.portal_url)
    pdf.cookies.update(page.cookies)
    pdf.get(page.link(containing="lang=ar"))
    assert pdf.response is not None
    assert pdf.response.content.startswith(b"%PDF"), pdf.html[:100]
    mail_to(world, founder.email, "Your credits are there")
    page.get(f"/wallets/{founder.project}")
    assert "Bought credits" in page.text, page.text[:800]
    return f"purchase {founder.purchase}, {TOTAL}, {invoice[0]} as PDF in Arabic ({len(pdf.response.content) // 1000} kB)"


def refund(world: World, founder: Founder) -> str:
    """Ask the unused credits' money back, and see it arrive."""
    page = founder.browser.get(f"/purchases/{founder.purchase}/refund")
    page.submit({"reason": "Bought for the journey"}, having="reason")
    _until(page, f"/purchases/{founder.purchase}", lambda: "Refunded" in page.text)
    note = re.search(r"CRN-\d{4}-\d{6}", page.html)
    assert note is not None, page.text[:800]
    mail_to(world, founder.email, "Your refund was sent")
    return f"{TOTAL} back, {note[0]}"


def _until(page: Browser, path: str, is_there) -> None:  # type: ignore[no-untyped-def]
    ends = time.monotonic() + PATIENCE_S
    while not is_there():
        if time.monotonic() > ends:
            raise PageError(f"{path} did not come: {page.url}: {page.text[:600]}")
        time.sleep(0.3)
        page.get(path)
