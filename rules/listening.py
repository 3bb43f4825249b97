"""Who may reach a service that asks for no key: programs on its own machine, and no web page that a browser runs."""

import ipaddress
from urllib.parse import urlsplit

from core.errors import FatalError

HTTP_PORT = 80
KEYLESS = "DARKROOM_API_KEY is not set: only programs on this machine are served."

PROXY_HEADERS = frozenset(
    {
        b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"x-original-forwarded-for",
        b"true-client-ip", b"cf-connecting-ip", b"cf-ray", b"fastly-client-ip", b"x-azure-clientip",
        b"x-envoy-external-address", b"x-originating-ip", b"x-original-host", b"tailscale-user-login",
    }
)  # fmt: skip
"""What a proxy adds, beside all that begins with `X-Forwarded`. One that adds nothing looks like a program here."""


def is_proxied(header: bytes) -> bool:
    """Tell whether a header of this name, in small letters, is one that a proxy adds."""
    return header in PROXY_HEADERS or header.startswith(b"x-forwarded")


def is_loopback(host: str) -> bool:
    """Tell whether a name or address, without brackets and port, leads to this machine and nowhere else."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_key(host: str, *, has_key: bool) -> None:
    """Raise FatalError where a service would listen beyond this machine without a key."""
    if not has_key and not is_loopback(host):
        raise FatalError(
            f"Without a key, Darkroom listens on this machine only, and {host or 'every address'} is beyond it. "
            "Set DARKROOM_API_KEY to a secret of at least 16 characters, or leave --host out."
        )


def why_foreign(hosts: list[str], origins: list[str], port: int) -> str | None:
    """Return why a service without a key refuses a request: no program on this machine sent it, but a web page did.

    None: it is served. `hosts` and `origins` are the values of these headers, `port` is the one that we listen on. A
    page of another site sends its address as Origin. A page of evil.example, a name that was made to lead to 127.0.0.1
    (DNS rebinding), has no need to, but its Host is `evil.example`.
    """
    if len(hosts) != 1 or not _is_ours(hosts[0], port):
        return "Its Host header is not this machine's: use http://127.0.0.1 and the port, or set DARKROOM_API_KEY."
    if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
        return "It was sent by a page of another site (Origin header)."
    return None


def _is_ours(host: str, port: int) -> bool:
    try:
        parsed = urlsplit(f"//{host}")
        named = parsed.port or HTTP_PORT
    except ValueError:
        return False
    return parsed.netloc == host and "@" not in host and named == port and is_loopback(parsed.hostname or "")
