"""Where a redirect may lead: a path of this site, nothing else."""

from urllib.parse import unquote, urlsplit

HOME = "/"


def safe_target(target: str | None) -> str:
    r"""Return the target when it is a path of this site, the home page otherwise.

    "//evil", "/\evil", "https:evil", encoded forms and control characters lead home.
    """
    if not target or len(target) > 2000:
        return HOME
    seen = target
    for _ in range(3):
        if not _is_path(seen):
            return HOME
        decoded = unquote(seen)
        if decoded == seen:
            break
        seen = decoded
    return target


def _is_path(text: str) -> bool:
    if not text.startswith("/") or text.startswith("//") or "\\" in text or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        return False
    parts = urlsplit(text)
    return not parts.scheme and not parts.netloc
