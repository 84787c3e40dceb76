"""Logging in by an OpenID Connect provider: the code flow with PKCE, state and nonce, and who the answer says one is.

Theory of operation. `begin` sends the browser to the provider with a state, a nonce and a challenge that are kept in a
signed cookie of that very browser. `finish` is asked when it comes back: the state must be the cookie's, the code is
exchanged for an ID token with the verifier, and the token must be signed by a key that the provider publishes, with an
algorithm of a short list (never `none`, never a shared secret), for us, by that issuer, in time, and with that nonce.
The discovery document and the keys are kept for an hour; an unknown key makes them be fetched again, at most every ten
seconds.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from cti.clock import Clock
from cti.errors import CtiError
from cti.settings import Oidc
from cti.web.auth.permissions import Role

if TYPE_CHECKING:
    from joserfc.jwk import KeySet  # read where it is used: most centres have no provider

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Signatures by a key that only the provider has."""
KEPT_SECONDS = 3600.0
AGAIN_SECONDS = 10.0
ASK_SECONDS = 10.0
AWAY_SECONDS = 5.0
"""So long a provider that did not answer is not asked again: who comes meanwhile is told the same."""
LARGEST = 256 * 1024
"""Bytes of an answer of the provider."""
LEEWAY = 60
"""Seconds that the provider's clock may be away."""
OLDEST = 600
"""Seconds since the ID token was made."""
LATEST = 10**15
"""Seconds since 1970; no time is beyond, and Python's own numbers of a claim have no end."""
ORDER = (Role.ADMIN, Role.SUPERVISOR, Role.AGENT, Role.WALL)


class ProviderRefused(CtiError):
    """The provider's answer is not to be believed, or lets nobody in. `reason` is stable."""

    error_id = "provider_refused"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message, remedy="log in again; if it happens again, tell the administrator")
        self.reason = reason


class ProviderAway(CtiError):
    """The provider does not answer, or not what it should."""

    error_id = "provider_away"
    retry_safe = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a browser is sent away with; it is asked for when it comes back."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom the provider has sent. `subject` is its issuer and its own name for them."""

    subject: str
    username: str
    name: str
    role: Role
    extension: str
    """Of an agent; empty for others."""


def challenge_of(verifier: str) -> str:
    """The challenge of a verifier (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class OidcProvider:
    """One provider, as the settings name it. Owns its HTTP session: `close` it."""

    def __init__(self, settings: Oidc, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._http: aiohttp.ClientSession | None = None
        self._turn = asyncio.Lock()
        self._known: tuple[float, Mapping[str, Any], KeySet] | None = None
        self._failed: tuple[float, ProviderAway] | None = None

    async def close(self) -> None:
        """Close what is open."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def begin(self, back: str) -> tuple[str, Started]:
        """Where to send the browser, and what to keep until it comes back to `back`. Raises `ProviderAway`."""
        document, _ = await self._discovered()
        started = Started(
            state=secrets.token_urlsafe(24), nonce=secrets.token_urlsafe(24), verifier=secrets.token_urlsafe(48)
        )
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": back,
            "scope": " ".join(self._settings.scopes),
            "state": started.state,
            "nonce": started.nonce,
            "code_challenge": challenge_of(started.verifier),
            "code_challenge_method": "S256",
        }
        address = str(document["authorization_endpoint"])
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", started

    async def finish(self, started: Started, asked: Mapping[str, str], back: str) -> Person:
        """Who has come back with these query parameters. Raises `ProviderRefused`, `ProviderAway`."""
        if not hmac.compare_digest(asked.get("state", "").encode(), started.state.encode()):
            raise ProviderRefused("wrong_state", "this answer belongs to another log-in")
        if "iss" in asked and asked["iss"] != self._settings.issuer:
            raise ProviderRefused("wrong_issuer", "this answer comes from another provider")
        if "error" in asked:
            raise ProviderRefused("denied", "the provider has not let you in")
        if not asked.get("code"):
            raise ProviderRefused("no_code", "the provider has sent no code")
        document, _ = await self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": asked["code"],
            "redirect_uri": back,
            "client_id": self._settings.client_id,
            "code_verifier": started.verifier,
        }
        headers = {}
        if self._settings.client_secret_file is not None:
            secret = await asyncio.to_thread(_secret, self._settings)
            pair = f"{quote(self._settings.client_id, safe='')}:{quote(secret, safe='')}"  # RFC 6749, 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        status, said = await self._ask("POST", str(document["token_endpoint"]), data=form, headers=headers)
        if status >= 500:
            raise ProviderAway("the provider does not answer as it should", remedy="try again in a moment")
        token = said.get("id_token") if status == 200 else None
        if not isinstance(token, str):
            raise ProviderRefused("no_token", "the provider does not take this code")
        return self.person_of(await self.claims_of(token, nonce=started.nonce))

    async def claims_of(self, token: str, *, nonce: str) -> Mapping[str, Any]:
        """What an ID token says, when it is to be believed. Raises `ProviderRefused`, `ProviderAway`."""
        _, keys = await self._discovered()
        try:
            claims = self._signed(token, keys)
        except ProviderRefused:
            _, fresh = await self._discovered(again=True)
            if fresh is keys:
                raise
            claims = self._signed(token, fresh)  # the provider has changed its keys
        self._check(claims, nonce)
        return claims

    def _signed(self, token: str, keys: KeySet) -> Mapping[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            header = json.loads(_unpadded(token.split(".")[0]))
            if not isinstance(header, dict) or header.get("alg") not in ALGORITHMS:
                raise ProviderRefused("wrong_algorithm", "the provider's answer is not signed as it must be")
            return jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError, KeyError, TypeError, RecursionError):
            raise ProviderRefused("wrong_signature", "the provider's answer is not signed by the provider") from None

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        now, ours = int(self._clock.now().timestamp()), self._settings.client_id
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
        ends, made, begins = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
        if claims.get("iss") != self._settings.issuer:
            raise ProviderRefused("wrong_issuer", "the provider's answer comes from another provider")
        if ours not in audiences or claims.get("azp", ours) != ours or (len(audiences) > 1 and "azp" not in claims):
            raise ProviderRefused("wrong_audience", "the provider's answer is for another program")
        if not all(_is_time(moment) for moment in (ends, made, begins)):
            raise ProviderRefused("wrong_time", "the provider's answer says no time")
        if ends <= now - LEEWAY or made > now + LEEWAY or made < now - OLDEST or begins > now + LEEWAY:  # type: ignore[operator]
            raise ProviderRefused("wrong_time", "the provider's answer is too old, or from the future")
        said = claims.get("nonce")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(errors="replace"), nonce.encode()):
            raise ProviderRefused("wrong_nonce", "the provider's answer belongs to another log-in")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise ProviderRefused("no_subject", "the provider's answer names nobody")

    def person_of(self, claims: Mapping[str, Any]) -> Person:
        """Who these claims name, and what they may be here. Raises `ProviderRefused` no_role, no_name."""
        settings = self._settings
        found = _at(claims, settings.role_claim)
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        roles = {settings.roles[value] for value in values if isinstance(value, str) and value in settings.roles}
        role = next((role for role in ORDER if role.value in roles), None)
        if role is None:
            raise ProviderRefused("no_role", "the provider's account has no role here")
        username = _at(claims, settings.username_claim)
        if not isinstance(username, str) or not username:
            raise ProviderRefused("no_name", "the provider's account has no user name")
        extension = _at(claims, settings.agent_claim) if settings.agent_claim else username
        name = claims.get("name")
        return Person(
            subject=f"{settings.issuer} {claims['sub']}",
            username=username,
            name=name[:100] if isinstance(name, str) else "",
            role=role,
            extension=str(extension or "") if role is Role.AGENT else "",
        )

    async def _discovered(self, *, again: bool = False) -> tuple[Mapping[str, Any], KeySet]:
        async with self._turn:
            now = self._clock.monotonic()
            if self._known is not None:
                age = now - self._known[0]
                if age < (AGAIN_SECONDS if again else KEPT_SECONDS):
                    return self._known[1], self._known[2]
            if self._failed is not None and now - self._failed[0] < AWAY_SECONDS:
                raise ProviderAway(self._failed[1].message, remedy=self._failed[1].remedy)
            try:
                document, keys = await self._discover()
            except ProviderAway as error:
                self._failed = (self._clock.monotonic(), error)
                raise
            self._known, self._failed = (now, document, keys), None
            return document, keys

    async def _discover(self) -> tuple[Mapping[str, Any], KeySet]:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        issuer = self._settings.issuer
        status, document = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if status != 200 or document.get("issuer") != issuer:
            raise ProviderAway("the provider does not say who it is", remedy="check oidc.issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _may_ask(document.get(name), issuer):
                raise ProviderAway(f"the provider's {name} is not to be used", remedy="check oidc.issuer")
        status, published = await self._ask("GET", str(document["jwks_uri"]))
        try:
            # Keys for signatures only; one of a kind we do not know is left out.
            wanted = [
                key
                for key in published["keys"]
                if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig" and "d" not in key
            ]
            return document, KeySet.import_key_set({"keys": wanted})
        except (JoseError, KeyError, TypeError, ValueError, AttributeError):
            raise ProviderAway("the provider's keys cannot be read", remedy="check oidc.issuer") from None

    async def _ask(
        self, method: str, address: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> tuple[int, Mapping[str, Any]]:
        if self._http is None:
            trust = ssl.create_default_context(cafile=self._settings.ca_file)
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=ASK_SECONDS),
                connector=aiohttp.TCPConnector(ssl=trust),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._http.request(
                method,
                address,
                allow_redirects=False,
                headers={"Accept": "application/json", **(headers or {})},
                **more,
            ) as answer:
                raw = await answer.content.read(LARGEST + 1)
                return answer.status, object_of(raw)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ProviderAway(
                f"the provider does not answer: {type(error).__name__}", remedy="try again in a moment"
            ) from None


def object_of(raw: bytes) -> Mapping[str, Any]:
    """The JSON object that an answer is. Raises `ProviderAway`."""
    try:
        said = json.loads(raw) if len(raw) <= LARGEST else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise ProviderAway("the provider does not answer as it should", remedy="check oidc.issuer")
    return said


def _secret(settings: Oidc) -> str:
    path = settings.client_secret_file
    if not isinstance(path, Path):
        return ""
    try:
        if path.stat().st_mode & 0o077:
            raise ProviderAway(f"{path}: other users may read it", remedy=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ProviderAway(f"{path}: {error.strerror}", remedy="correct oidc.client_secret_file") from None


def _may_ask(address: object, issuer: str) -> bool:
    """Whether an address of the discovery document may be used: encrypted, unless the issuer itself is on this machine."""
    if not isinstance(address, str):
        return False
    try:
        scheme = urlsplit(address).scheme
    except ValueError:  # "https://[": no address at all
        return False
    return scheme == "https" or (scheme == "http" and issuer.startswith("http://"))


def _is_time(value: object) -> bool:
    """Of a claim: a finite number. JSON as Python reads it has NaN, which no comparison finds too old."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < LATEST
    return isinstance(value, float) and math.isfinite(value)


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of that name; dots lead into objects unless the name itself is there."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
