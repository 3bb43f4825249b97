"""A browser's way in: it shows the key once and gets a cookie that says until when it is good.

An `<img>` and an event stream cannot send a header, so the page needs one. The cookie holds no secret but a signature
made with the key: nothing is kept here, and another key ends all sessions.
"""

import hashlib
import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

SESSION_SECONDS = 30 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD"})

RawHeaders = Iterable[tuple[bytes, bytes]]


class Sessions:
    """Cookies for those who know the key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        # Browsers share cookies between the ports of a host: two installations must not overwrite each other's.
        self.cookie_name = f"darkroom_{self._sign('name')[:12]}"

    def begin(self, key: str, now: float) -> str | None:
        """Return the cookie's value for who shows the key; None for who does not. `now` in seconds since 1970."""
        if not hmac.compare_digest(self._key, key.encode()):
            return None
        expires = str(int(now) + SESSION_SECONDS)
        return f"{expires}.{self._sign(expires)}"

    def admits(self, method: str, headers: RawHeaders, now: float) -> bool:
        """Tell whether a request carries a valid cookie and comes from our own page.

        A browser sends the cookie by itself, also for what a page of another port of this host asks for: such a page
        gives itself away by its Origin, which goes with everything that changes something.
        """
        cookies, origins, hosts = (_values(headers, name) for name in (b"cookie", b"origin", b"host"))
        if not any(self._is_valid(cookie, now) for cookie in cookies):
            return False
        if not origins:
            return method in SAFE_METHODS
        return len(hosts) == 1 and all(_netloc(origin) == hosts[0].lower() for origin in origins)

    def _is_valid(self, cookie: str, now: float) -> bool:
        try:
            morsel = SimpleCookie(cookie).get(self.cookie_name)
        except CookieError:
            return False
        expires, _, signature = (morsel.value if morsel else "").partition(".")
        if not hmac.compare_digest(self._sign(expires).encode(), signature.encode()):
            return False
        return now < int(expires)

    def _sign(self, text: str) -> str:
        return hmac.digest(self._key, f"darkroom session {text}".encode(), hashlib.sha256).hex()


def _values(headers: RawHeaders, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
