"""What a browser calls itself, in two words that its person recognises."""

# In this order: browsers name those that they descend from, too.
_BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "SamsungBrowser/": "Samsung Internet", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
_SYSTEMS = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows", "Mac OS X": "macOS", "CrOS": "ChromeOS", "Linux": "Linux"}


def name_of(user_agent: str) -> str:
    """Return for example "Firefox, Windows"; the first word of what it said when it is none that we know."""
    parts = [next((name for mark, name in table.items() if mark in user_agent), "") for table in (_BROWSERS, _SYSTEMS)]
    return ", ".join(part for part in parts if part) or user_agent.partition("/")[0][:40].strip()
