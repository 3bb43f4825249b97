"""A browser's way in: it shows the key once and gets a cookie that says until when it is good.

An `<img>` and an event stream cannot send a header, so the page needs one. The cookie holds no secret but a signature:
only sessions that were ended are kept, as a copy of a cookie must end with it, and another key ends all. Whoever sees a
cookie could try keys against its signature at leisure, so what signs is derived from the key slowly.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Mapping
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
        self._ended: set[str] = set()

    def begin(self, key: str, now: float) -> str | None:
        """Return the cookie's value for who shows the key; None for who does not. `now` in seconds since 1970."""
        if not hmac.compare_digest(self._key, key.encode()):
            return None
        return self._signer.sign(f"{int(now) + SESSION_SECONDS}.{secrets.token_hex(16)}").decode()

    def know_ended(self, sessions: Iterable[str]) -> None:
        """Admit none of these sessions from now on."""
        self._ended.update(sessions)

    def end(self, headers: RawHeaders, now: float) -> Mapping[str, int]:
        """Admit the session whose cookie a request carries no more; return it, with the second in which it expires."""
        found = [self._session(value) for cookie in _values(headers, b"cookie") for value in self._ours(cookie)]
        ended = {one[0]: one[1] for one in found if one is not None and now < one[1]}
        self.know_ended(ended)
        return ended

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
        session = self._session(value)
        return session is not None and now < session[1] and session[0] not in self._ended

    def _session(self, value: str) -> tuple[str, int] | None:
        """Return the name of a session, and until when it is good; None where its cookie is not of ours."""
        try:
            until, _, name = self._signer.unsign(value).decode().partition(".")
        except (BadSignature, UnicodeEncodeError):
            return None
        return (name, int(until)) if name else None


def _values(headers: RawHeaders, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
