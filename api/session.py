"""A browser's way in: it shows the key once and gets a cookie that says until when it is good.

An `<img>` and an event stream cannot send a header, so the page needs one. The cookie holds no secret but a signature:
nothing is kept here, and another key ends all sessions. Whoever sees a cookie could try keys against its signature at
leisure, so what signs is derived from the key slowly.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from itsdangerous import BadSignature, Signer

SESSION_SECONDS = 30 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD"})
SECURE_PREFIX = "__Host-"
"""A browser takes a cookie with such a name over HTTPS only, and from no other host of the domain (RFC 6265bis)."""
SALT = b"darkroom session"
"""The same for all: several services of one key take each other's cookies."""
SCRYPT_COST = 2**15  # about 0.1 s and 32 MiB, once at the start

RawHeaders = Iterable[tuple[bytes, bytes]]


class Sessions:
    """Cookies for those who know the key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        derived = hashlib.scrypt(self._key, salt=SALT, n=SCRYPT_COST, r=8, p=1, maxmem=64 << 20, dklen=32)
        self._signer = Signer(derived, salt=SALT, digest_method=hashlib.sha256, key_derivation="hmac")
        # Browsers share cookies between the ports of a host: two installations must not overwrite each other's.
        name = hmac.digest(derived, b"name", hashlib.sha256).hex()[:12]
        self.cookie_name = f"darkroom_{name}"
        self.secure_cookie_name = SECURE_PREFIX + self.cookie_name

    def begin(self, key: str, now: float) -> str | None:
        """Return the cookie's value for who shows the key; None for who does not. `now` in seconds since 1970."""
        if not hmac.compare_digest(self._key, key.encode()):
            return None
        return self._signer.sign(str(int(now) + SESSION_SECONDS)).decode()

    def admits(self, method: str, headers: RawHeaders, now: float) -> bool:
        """Tell whether a request carries a valid cookie and comes from our own page.

        A browser sends the cookie by itself, also for what a page of another port of this host asks for: such a page
        gives itself away by its Origin, which goes with everything that changes something.
        """
        cookies, origins, hosts = (_values(headers, name) for name in (b"cookie", b"origin", b"host"))
        if not any(self._is_valid(value, now) for cookie in cookies for value in self._ours(cookie)):
            return False
        if not origins:
            return method in SAFE_METHODS
        return len(hosts) == 1 and all(_netloc(origin) == hosts[0].lower() for origin in origins)

    def _ours(self, cookie: str) -> Iterator[str]:
        """Give each value under our names. What other programs of this host have set is none of our business."""
        for pair in cookie.split(";"):
            name, _, value = pair.strip().partition("=")
            if name in {self.cookie_name, self.secure_cookie_name}:
                yield value.strip('"')

    def _is_valid(self, value: str, now: float) -> bool:
        try:
            return now < int(self._signer.unsign(value))
        except (BadSignature, UnicodeEncodeError):
            return False


def _values(headers: RawHeaders, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
