"""A browser shows the key once, and gets a cookie that only our own page can use."""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from api.access.session import SESSION_SECONDS, Sessions
from core.settings import Settings
from tests.api.service import Service, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "k3y-of-this-session"
NOW = 1_800_000_000.0
HOST = (b"host", b"photos.example:8002")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    update = {"darkroom_api_key": SecretStr(KEY), "darkroom_data": tmp_path_factory.mktemp("locked")}
    async with serving(settings.model_copy(update=update)) as running:
        yield running


@pytest.fixture
async def browser(locked: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that keeps cookies and knows no key."""
    async with httpx.AsyncClient(
        transport=locked.http._transport,
        base_url="http://127.0.0.1/api/v1/",
        headers={"Origin": "http://127.0.0.1"},
    ) as client:
        yield client


async def test_the_key_opens_a_session_and_its_end_closes_it(browser: httpx.AsyncClient) -> None:
    refused = await browser.post("session", json={"key": f"{KEY}x"})
    assert (refused.status_code, refused.headers.get("set-cookie")) == (401, None)
    assert (await browser.get("collections")).status_code == 401

    begun = await browser.post("session", json={"key": KEY})
    assert begun.status_code == 204
    cookie = begun.headers["set-cookie"]
    assert KEY not in cookie
    assert {"HttpOnly", "SameSite=strict", f"Max-Age={SESSION_SECONDS}"} <= set(cookie.split("; "))
    assert (await browser.get("collections")).status_code == 200
    assert (await browser.post("ingest/nothing/pause")).status_code == 404

    copy = cookie.partition(";")[0]
    assert (await browser.delete("session")).status_code == 204
    assert (await browser.get("collections")).status_code == 401
    # Neither is whoever has copied the cookie.
    assert (await browser.get("collections", headers={"Cookie": copy})).status_code == 401


async def test_a_session_that_was_ended_stays_so_after_a_restart(own: Settings) -> None:
    settings = own.model_copy(update={"darkroom_api_key": SecretStr(KEY)})
    async with serving(settings) as service:
        cookies = []
        for _ in range(2):
            begun = await service.http.post("session", json={"key": KEY})
            cookies.append(begun.headers["set-cookie"].partition(";")[0])
        service.http.cookies.clear()
        await service.http.delete("session", headers={"Cookie": cookies[0]})
    async with serving(settings) as service:
        told = [
            await service.http.get("collections", headers={"Authorization": "", "Cookie": cookie}) for cookie in cookies
        ]
        assert [answer.status_code for answer in told] == [401, 200]


async def test_the_page_is_for_all_and_lets_nothing_in(browser: httpx.AsyncClient) -> None:
    page = await browser.get("http://127.0.0.1/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    script = await browser.get("http://127.0.0.1/static/js/main.js")
    assert (script.status_code, script.headers["content-security-policy"]) == (200, policy)
    assert script.headers["content-type"].startswith("text/javascript")
    for path in ("/static/../main.py", "/static/%2e%2e/main.py", "/static/..%2fmain.py", "/static//etc/passwd"):
        response = await browser.get(f"http://127.0.0.1{path}")
        assert response.status_code in {401, 404}, path


def admitted(cookie: str, method: str = "GET", *headers: tuple[bytes, bytes], now: float = NOW) -> bool:
    return Sessions(KEY).admits(method, [HOST, (b"cookie", cookie.encode("latin-1")), *headers], now)


async def test_what_is_no_valid_cookie_is_not_admitted() -> None:
    sessions = Sessions(KEY)
    value = sessions.begin(KEY, NOW)
    assert value is not None
    name = sessions.cookie_name
    good = f"other=1; {name}={value}"
    assert admitted(good)
    assert not admitted(good, now=NOW + SESSION_SECONDS)
    assert Sessions("another").begin(KEY, NOW) is None
    expires, _, signature = value.partition(".")
    foreign = Sessions("another").begin("another", NOW)
    for bad in (
        "",
        name,
        f"{name}=",
        f"{name}=.",
        f"{name}={expires}",
        f"{name}={int(expires) + 1}.{signature}",
        f"{name}={expires}.{signature[:-1]}",
        f"{name}={foreign}",
        f"{name}=\xff.\xfe",
        f"x{name}={value}",
        f"{name}={KEY}",
    ):
        assert not admitted(bad), bad


async def test_cookies_of_other_programs_on_this_host_do_not_matter() -> None:
    """Browsers share cookies between the ports of a host, and others set what they like."""
    sessions = Sessions(KEY)
    name, value = sessions.cookie_name, sessions.begin(KEY, NOW)
    for cookie in (
        f'theirs={{"a": [1]}}; {name}={value}',
        f"a b(c)=d; =; ;; {name}={value}; x=\xff",
        f"{name}=stale; {name}={value}",
        f"{name}={value}; {name}=0.forged",
        f'{name}="{value}"',
        f"__Host-{name}={value}",
        f"darkroom_0123456789ab=1.2; {name}={value}",
    ):
        assert admitted(cookie), cookie


async def test_a_cookie_says_nothing_that_helps_to_guess_the_key() -> None:
    """A signature that is made with the key itself would let everyone try thousands of keys a second against it."""
    sessions = Sessions(KEY)
    signed, _, signature = str(sessions.begin(KEY, NOW)).rpartition(".")
    for message in (f"darkroom session {signed}", signed, "darkroom session name"):
        made = hmac.digest(KEY.encode(), message.encode(), hashlib.sha256)
        for written in (made.hex(), base64.urlsafe_b64encode(made).decode().rstrip("=")):
            assert signature != written
            assert sessions.cookie_name.removeprefix("darkroom_") != written[:12]
    begun = time.process_time()
    Sessions(KEY)
    assert time.process_time() - begun > 0.01


class TestSignIn:
    @pytest_asyncio.fixture(loop_scope="module")
    async def fresh(self, own: Settings) -> AsyncIterator[Service]:
        async with serving(own.model_copy(update={"darkroom_api_key": SecretStr(KEY)})) as running:
            yield running

    async def test_who_tries_keys_has_to_wait_and_others_do_not(self, fresh: Service) -> None:
        async def sign_in(address: str, key: str, forwarded: str = "") -> httpx.Response:
            transport = httpx.ASGITransport(fresh.http._transport.app, client=(address, 1))  # type: ignore[attr-defined]
            headers = {"X-Forwarded-For": forwarded} if forwarded else {}
            async with httpx.AsyncClient(transport=transport, headers=headers) as client:
                return await client.post("http://127.0.0.1/api/v1/session", json={"key": key})

        tried = [(await sign_in("203.0.113.5", f"wrong-{number}")).status_code for number in range(7)]
        assert tried == [401] * 5 + [429] * 2
        refused = await sign_in("203.0.113.5", KEY)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        assert "set-cookie" not in refused.headers
        # Through a proxy that may be believed, each is another; any other could say what it likes.
        assert (await sign_in("127.0.0.1", KEY, forwarded="203.0.113.5")).status_code == 429
        assert (await sign_in("127.0.0.1", KEY, forwarded="203.0.113.6")).status_code == 204
        assert (await sign_in("203.0.113.5", KEY, forwarded="203.0.113.7")).status_code == 429
        assert (await sign_in("203.0.113.8", KEY)).status_code == 204

    @pytest.mark.parametrize(("address", "is_secure"), [("127.0.0.1", True), ("::1", True), ("203.0.113.5", False)])
    async def test_behind_a_proxy_with_tls_the_cookie_is_secure(
        self, locked: Service, address: str, is_secure: bool
    ) -> None:
        transport = httpx.ASGITransport(locked.http._transport.app, client=(address, 1))  # type: ignore[attr-defined]
        headers = {"X-Forwarded-Proto": "https", "Origin": "https://photos.example"}
        async with httpx.AsyncClient(transport=transport, headers=headers) as client:
            begun = await client.post("http://photos.example/api/v1/session", json={"key": KEY})
            cookie = begun.headers["set-cookie"]
            assert ("Secure" in cookie.split("; "), cookie.startswith("__Host-")) == (is_secure, is_secure)
            if is_secure:
                assert {"Path=/", "HttpOnly"} <= set(cookie.split("; "))
                assert "Domain" not in cookie
            sent = {"Cookie": cookie.partition(";")[0]}
            answer = await client.get("http://photos.example/api/v1/collections", headers=sent)
            assert answer.status_code == 200


async def test_no_answer_of_the_api_runs_anything_in_a_browser(locked: Service) -> None:
    for path in ("collections", "nowhere", "ingest/status/x"):
        response = await locked.http.get(path)
        assert "sandbox" in response.headers["content-security-policy"].split("; ")
        assert response.headers["x-content-type-options"] == "nosniff"
        # Nor does a page of another port of this host show it.
        assert response.headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_page_of_another_site_or_port_cannot_use_it() -> None:
    sessions = Sessions(KEY)
    cookie = f"{sessions.cookie_name}={sessions.begin(KEY, NOW)}"
    for origin in (b"http://photos.example:8002", b"https://PHOTOS.example:8002"):  # a proxy may speak TLS for us
        assert admitted(cookie, "POST", (b"origin", origin))
    for origin in (
        b"http://photos.example:9000",
        b"http://photos.example",
        b"http://other.example",
        b"null",
        b"http://[",
        b"",
    ):
        for method in ("GET", "POST", "DELETE"):
            assert not admitted(cookie, method, (b"origin", origin)), origin
    # A browser sends an Origin with all that changes something.
    assert not admitted(cookie, "POST")
    assert admitted(cookie, "HEAD")


async def test_without_a_key_there_is_no_session(service: Service) -> None:
    response = await service.http.post("session", json={"key": "anything"})
    assert (response.status_code, response.headers.get("set-cookie")) == (204, None)
