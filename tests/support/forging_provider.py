"""An OpenID Connect provider that can be told to lie: each `forgery` changes one thing of the ID token it gives."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from cti.clock import Clock
from cti.web.auth.provider import challenge_of

CLIENT = "cti-test"


class ForgingProvider:
    """One provider on a port of its own. `claims` are what it says of everybody."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
        self.published: list[Any] = [self.key]
        self.claims: dict[str, Any] = {
            "sub": "alice-1",
            "preferred_username": "alice",
            "name": "Alice Example",
            "groups": ["floor-leads"],
        }
        self.forge: Callable[[dict[str, Any]], str | dict[str, Any]] = lambda claims: claims
        self.asked: dict[str, list[str]] = {}
        self.times_keys_asked = 0
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._document)
        app.router.add_get("/keys", self._keys)
        app.router.add_post("/token", self._token)
        self.server = TestServer(app)

    @property
    def issuer(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def _document(self, _request: web.Request) -> web.Response:
        base = self.issuer
        return web.json_response(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/keys",
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        self.times_keys_asked += 1
        return web.json_response(KeySet(self.published).as_dict(private=False))

    def allow(self, location: str) -> dict[str, str]:
        """The person says yes at the address the browser was sent to; gives the query it comes back with."""
        self.asked = parse_qs(urlsplit(location).query)
        return {"code": "a-code", "state": self.asked["state"][0]}

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        fits = challenge_of(str(form.get("code_verifier", ""))) == self.asked["code_challenge"][0]
        if form.get("code") != "a-code" or not fits or form.get("redirect_uri") != self.asked["redirect_uri"][0]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(self.clock.now().timestamp())
        claims = {
            **self.claims,
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": self.asked["nonce"][0],
        }
        made = self.forge(claims)
        token = made if isinstance(made, str) else self.sign(made)
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def sign(self, claims: dict[str, Any], *, key: Any = None, alg: str = "RS256", **header: Any) -> str:
        """A token as an honest provider makes it, or with another key or algorithm."""
        used = key or self.key
        return jwt.encode({"alg": alg, "kid": "first", **header}, claims, used, algorithms=[alg])

    def unsigned(self, claims: dict[str, Any], alg: str = "none") -> str:
        """A token without a signature."""
        return f"{_part({'alg': alg, 'typ': 'JWT', 'kid': 'first'})}.{_part(claims)}."

    def signed_with_public_key(self, claims: dict[str, Any]) -> str:
        """The confusion of a public key with a shared secret: HS256 over the published key's own text."""
        head = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'first'})}.{_part(claims)}"
        made = hmac.new(self.key.as_pem(private=False), head.encode(), hashlib.sha256).digest()
        return f"{head}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"

    def tampered(self, claims: dict[str, Any]) -> str:
        """Signed as it should be, and changed afterwards."""
        head, _, signature = self.sign(claims).split(".")
        return f"{head}.{_part({**claims, 'groups': ['admins']})}.{signature}"

    @staticmethod
    def other_key() -> Any:
        return RSAKey.generate_key(2048, {"kid": "first"})

    @staticmethod
    def elliptic() -> Any:
        return ECKey.generate_key("P-256", {"kid": "second", "use": "sig"})


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
