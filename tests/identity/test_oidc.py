"""The OpenID Connect provider: one flow, nothing lenient. The hub is its client."""

import base64
import hashlib
import json
import secrets
import stat
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from portal.core import clock
from portal.core.access import Role
from portal.core.ids import digest
from portal.identity.oidc.keys import KeyRing
from portal.settings import Settings
from tests.factories import identity as people
from tests.identity.browser import cookie, is_signed_in, post, set_cookie

CALLBACK = "http://localhost:8001/hub/oauth_callback"
ISSUER = "http://127.0.0.1:8000"
VERIFIER = secrets.token_urlsafe(48)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SECRET = "test-oidc-secret-of-at-least-32-characters"
ASKED = {
    "response_type": "code",
    "client_id": "jupyterhub",
    "redirect_uri": CALLBACK,
    "scope": "openid profile groups",
    "state": "state-1",
    "nonce": "nonce-1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def basic(client_id: str = "jupyterhub", secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def authorize(client: FlaskClient, **changes: str | None) -> TestResponse:
    asked = {name: value for name, value in (ASKED | changes).items() if value is not None}
    return client.get("/oauth/authorize", query_string=urlencode(asked))


def code_of(client: FlaskClient, **changes: str | None) -> str:
    answer = authorize(client, **changes)
    assert answer.status_code == 303, answer.text
    location = urlsplit(answer.headers["Location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == CALLBACK
    return parse_qs(location.query)["code"][0]


def exchange(client: FlaskClient, code: str, *, headers: dict[str, str] | None = None, **changes: str | None) -> TestResponse:
    sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER} | changes
    return client.post("/oauth/token", data={name: value for name, value in sent.items() if value is not None}, headers=basic() if headers is None else headers)


def renew(client: FlaskClient, refresh_token: str, **changes: str) -> TestResponse:
    return client.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": refresh_token} | changes, headers=basic())


def userinfo(client: FlaskClient, access_token: str) -> TestResponse:
    return client.get("/oauth/userinfo", headers={"Authorization": f"Bearer {access_token}"})


@pytest.fixture
def hub(app: Flask) -> FlaskClient:
    """Give the hub: a caller without cookies."""
    return app.test_client(use_cookies=False)


@pytest.fixture
def ada(client: FlaskClient, db: Session, now: datetime):
    """Give a person who is signed in."""
    person = people.person(db, roles=[Role.MENTOR, Role.STAFF], now=now)
    people.sign_in(client, person)
    return person


def test_hub_signs_a_person_in(client: FlaskClient, hub: FlaskClient, ada) -> None:
    answer = authorize(client)
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["state"] == ["state-1"]
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    tokens = exchange(hub, code)
    assert tokens.status_code == 200
    assert tokens.headers["Cache-Control"] == "no-store"
    assert (tokens.json["token_type"], tokens.json["expires_in"], tokens.json["scope"]) == ("Bearer", 300, "openid profile groups")

    who = userinfo(hub, tokens.json["access_token"])
    assert who.status_code == 200
    assert who.json == {
        "sub": str(ada.id),
        "preferred_username": ada.slug,
        "name": ada.display_name,
        "locale": "en",
        "zoneinfo": "Africa/Casablanca",
        "groups": ["mentor", "staff"],
    }
    keys = KeySet.import_key_set(hub.get("/oauth/jwks.json").json)
    token = jwt.decode(tokens.json["id_token"], keys, algorithms=["RS256"])
    assert token.header["kid"] == hub.get("/oauth/jwks.json").json["keys"][0]["kid"]
    claims = token.claims
    assert (claims["iss"], claims["aud"], claims["sub"], claims["nonce"]) == (ISSUER, ["jupyterhub"], str(ada.id), "nonce-1")
    assert claims["exp"] - claims["iat"] == 300
    assert abs(claims["auth_time"] - clock.now().timestamp()) < 60
    half = base64.urlsafe_b64encode(hashlib.sha256(tokens.json["access_token"].encode()).digest()[:16]).rstrip(b"=").decode()
    assert claims["at_hash"] == half


def test_visitor_signs_in_on_the_way(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    asked = authorize(client)
    assert asked.headers["Location"].startswith("/sign-in?next=/oauth/authorize?")
    back = client.post(asked.headers["Location"], data=people.csrf(client) | {"email": ada.email, "password": people.PASSWORD})

    assert back.headers["Location"].startswith("/oauth/authorize?response_type=code")
    assert client.get(back.headers["Location"]).headers["Location"].startswith(CALLBACK)


def test_email_is_told_to_those_who_ask_for_it(client: FlaskClient, hub: FlaskClient, ada) -> None:
    token = exchange(hub, code_of(client, scope="openid email")).json["access_token"]

    assert userinfo(hub, token).json == {"sub": str(ada.id), "email": ada.email, "email_verified": True}


def test_secrets_are_stored_as_digests(client: FlaskClient, hub: FlaskClient, db: Session, ada) -> None:
    code = code_of(client)
    tokens = exchange(hub, code).json

    codes = db.execute(text("SELECT code_digest FROM oidc_code")).scalars().all()
    stored = db.execute(text("SELECT token_digest FROM oidc_token")).scalars().all()
    assert codes == [digest(code)]
    assert sorted(stored) == sorted([digest(tokens["access_token"]), digest(tokens["refresh_token"])])


BAD_URIS = [
    "http://evil.example/hub/oauth_callback",
    "http://localhost:8001/hub/../hub/oauth_callback",
    "http://hub@evil.example/hub/oauth_callback",
    "http://localhost:8001@evil.example/hub/oauth_callback",
    CALLBACK + "/more",
    CALLBACK + "/",
    CALLBACK + "?x=1",
    CALLBACK + "#x",
    "http://localhost:8002/hub/oauth_callback",
    "http://localhost/hub/oauth_callback",
    "https://localhost:8001/hub/oauth_callback",
    "http://LOCALHOST:8001/hub/oauth_callback",
    "http://localhost:8001/HUB/oauth_callback",
    "http://localhost:8001/hub/oauth_callback%00",
    "javascript:alert(1)",
    'http://évil.example/"\\',
    "",
    None,
]


OTHER_FAULTS: list[dict[str, str | None]] = [
    {},
    {"response_type": "token"},
    {"scope": "profile"},
    {"code_challenge": None},
    {"prompt": "none"},
    {"client_id": "nobody"},
]


@pytest.mark.parametrize("uri", BAD_URIS)
@pytest.mark.parametrize("signed_in", [True, False])
def test_a01_unregistered_redirect_uri_is_never_followed(app: Flask, client: FlaskClient, ada, uri: str | None, *, signed_in: bool) -> None:
    browser = client if signed_in else app.test_client()
    for more in OTHER_FAULTS:
        answer = authorize(browser, redirect_uri=uri, **more)

        assert answer.status_code == 400, more
        assert "Location" not in answer.headers
        assert "This sign-in link is not right" in answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"response_type": "token"},
        {"response_type": "code id_token"},
        {"response_type": None},
        {"response_type": 'cöde"'},
        {"scope": "profile"},
        {"scope": None},
        {"scope": "openid admin"},
        {"client_id": "nobody"},
        {"client_id": None},
        {"prompt": "login"},
        {"response_mode": "form_post"},
        {"request": "eyJhbGciOiJub25lIn0.e30."},
        {"request_uri": "https://evil.example/request"},
    ],
)
def test_a01_other_faults_end_on_a_page_too(client: FlaskClient, ada, changes: dict[str, str | None]) -> None:
    answer = authorize(client, **changes)

    assert answer.status_code == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize("name", ["redirect_uri", "client_id", "response_type", "scope", "state", "code_challenge", "nonce"])
def test_a01_parameter_that_comes_twice_is_refused(client: FlaskClient, ada, name: str) -> None:
    answer = client.get("/oauth/authorize?" + urlencode([*ASKED.items(), (name, "http://evil.example/x")]))

    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_a02_code_used_twice_is_refused_and_revokes_the_first_token(client: FlaskClient, hub: FlaskClient, ada) -> None:
    code = code_of(client)
    first = exchange(hub, code)
    assert userinfo(hub, first.json["access_token"]).status_code == 200

    second = exchange(hub, code)
    assert (second.status_code, second.json["error"]) == (400, "invalid_grant")
    assert userinfo(hub, first.json["access_token"]).status_code == 401
    assert renew(hub, first.json["refresh_token"]).status_code == 400


def test_a02_code_brought_by_four_requests_at_once(own_app: Flask, own_sessions: sessionmaker[Session]) -> None:
    with own_sessions() as db:
        ada = people.person(db, now=clock.now())
        db.commit()
    client = own_app.test_client()
    people.sign_in(client, ada)
    code = code_of(client)
    barrier, answers = threading.Barrier(4), []

    def bring() -> None:
        hub = own_app.test_client(use_cookies=False)
        barrier.wait()
        answers.append(exchange(hub, code))

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert userinfo(own_app.test_client(), winner.json["access_token"]).status_code == 401


def test_a03_code_of_one_client_is_nothing_at_another(app: Flask, client: FlaskClient, hub: FlaskClient, ada, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    provider = app.extensions["oidc_provider"]
    other = replace(provider.clients["jupyterhub"], client_id="other", secret="s" * 40)
    monkeypatch.setitem(provider.clients, "other", other)
    code = code_of(client)

    stolen = exchange(hub, code, headers=basic("other", "s" * 40))
    assert (stolen.status_code, stolen.json["error"]) == (400, "invalid_grant")
    assert exchange(hub, code).status_code == 200, "the owner's code is not used up by a stranger"
    tokens = exchange(hub, code_of(client)).json
    taken = hub.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, headers=basic("other", "s" * 40))
    assert taken.status_code == 400
    assert renew(hub, tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge_method": "s256"},
        {"code_challenge": None},
        {"code_challenge": "short"},
    ],
)
def test_a03_authorisation_without_s256_is_refused(client: FlaskClient, ada, changes: dict[str, str | None]) -> None:
    answer = authorize(client, **changes)

    assert answer.status_code == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize("verifier", [None, "", "x" * 43, CHALLENGE], ids=["none", "empty", "another", "the-challenge"])
def test_a03_token_without_the_right_verifier_is_refused(client: FlaskClient, hub: FlaskClient, ada, verifier: str | None) -> None:
    code = code_of(client)

    assert exchange(hub, code, code_verifier=verifier).status_code == 400
    assert exchange(hub, code).status_code == 400, "a code is used up by a wrong try as well"


@pytest.mark.parametrize("uri", [None, "http://evil.example/", CALLBACK + "/"])
def test_a03_code_is_bound_to_its_redirect_uri(client: FlaskClient, hub: FlaskClient, ada, uri: str | None) -> None:
    assert exchange(hub, code_of(client), redirect_uri=uri).status_code == 400


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {}),
        ({}, {"client_id": "jupyterhub", "client_secret": SECRET}),
        ({}, {"client_id": "jupyterhub"}),
        (basic(secret="wrong"), {}),
        (basic("nobody"), {}),
        ({"Authorization": "Basic ???"}, {}),
    ],
)
def test_client_authenticates_by_basic_alone(client: FlaskClient, hub: FlaskClient, ada, headers: dict[str, str], body: dict[str, str]) -> None:
    code = code_of(client)
    answer = exchange(hub, code, headers=headers, **body)

    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert exchange(hub, code).status_code == 200


def test_parameters_in_the_address_of_the_token_endpoint_are_refused(client: FlaskClient, hub: FlaskClient, ada) -> None:
    code = code_of(client)
    sent = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}

    assert hub.post(f"/oauth/token?code={code}", data=sent, headers=basic()).status_code == 400


def test_a04_code_is_too_old_after_a_minute(client: FlaskClient, hub: FlaskClient, ada) -> None:
    code = code_of(client)
    with time_machine.travel(clock.now() + timedelta(seconds=61)):
        assert exchange(hub, code).status_code == 400


def test_a04_access_token_is_too_old_after_five_minutes(client: FlaskClient, hub: FlaskClient, ada) -> None:
    tokens = exchange(hub, code_of(client)).json
    begun = clock.now()
    with time_machine.travel(begun + timedelta(minutes=4, seconds=50)):
        assert userinfo(hub, tokens["access_token"]).status_code == 200
    with time_machine.travel(begun + timedelta(minutes=5, seconds=5)):
        answer = userinfo(hub, tokens["access_token"])
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        renewed = renew(hub, tokens["refresh_token"])
        assert renewed.status_code == 200
        assert userinfo(hub, renewed.json["access_token"]).json["preferred_username"] == ada.slug


def test_refresh_token_used_again_later_revokes_the_family(client: FlaskClient, hub: FlaskClient, ada) -> None:
    tokens = exchange(hub, code_of(client)).json
    renewed = renew(hub, tokens["refresh_token"]).json
    assert renewed["refresh_token"] != tokens["refresh_token"]
    with time_machine.travel(clock.now() + timedelta(seconds=11)):
        assert renew(hub, tokens["refresh_token"]).status_code == 400
        assert userinfo(hub, renewed["access_token"]).status_code == 401
        assert renew(hub, renewed["refresh_token"]).status_code == 400


def test_two_renewals_at_the_same_moment_both_work(client: FlaskClient, hub: FlaskClient, ada) -> None:
    tokens = exchange(hub, code_of(client)).json
    first, second = renew(hub, tokens["refresh_token"]), renew(hub, tokens["refresh_token"])

    assert [first.status_code, second.status_code] == [200, 200]
    assert userinfo(hub, first.json["access_token"]).status_code == 200


def test_grant_ends_after_a_day_however_often_renewed(client: FlaskClient, hub: FlaskClient, ada) -> None:
    token, begun = exchange(hub, code_of(client)).json["refresh_token"], clock.now()
    for hours in (8, 16, 23):
        with time_machine.travel(begun + timedelta(hours=hours)):
            token = renew(hub, token).json["refresh_token"]
    with time_machine.travel(begun + timedelta(hours=24, minutes=1)):
        assert renew(hub, token).status_code == 400


def test_renewal_gives_no_more_scope(client: FlaskClient, hub: FlaskClient, ada) -> None:
    tokens = exchange(hub, code_of(client, scope="openid")).json

    assert renew(hub, tokens["refresh_token"], scope="openid email").status_code == 400


def test_roles_are_read_anew_at_each_renewal(client: FlaskClient, hub: FlaskClient, db: Session, ada, now: datetime) -> None:
    tokens = exchange(hub, code_of(client)).json
    people.people.take_role(db, person_id=ada.id, role=Role.STAFF, by=people.TESTS, now=now)
    db.commit()

    assert userinfo(hub, renew(hub, tokens["refresh_token"]).json["access_token"]).json["groups"] == ["mentor"]


def test_suspended_person_gets_nothing(app: Flask, client: FlaskClient, hub: FlaskClient, db: Session, ada, now: datetime) -> None:
    tokens, code = exchange(hub, code_of(client)).json, code_of(client)
    people.people.suspend(db, person_id=ada.id, by=people.TESTS, now=now)
    db.commit()

    assert userinfo(hub, tokens["access_token"]).status_code == 401
    assert renew(hub, tokens["refresh_token"]).status_code == 400
    assert exchange(hub, code).status_code == 400
    assert authorize(client).headers["Location"].startswith("/sign-in?")


def test_a04_old_key_stays_public_for_a_day(client: FlaskClient, hub: FlaskClient, app: Flask, ada) -> None:
    ring: KeyRing = app.extensions["oidc_provider"].keys
    old_token = exchange(hub, code_of(client)).json["id_token"]
    old_kid = ring.signing_key().kid
    begun = clock.now()
    new_kid = ring.rotate(now=begun)
    new_token = exchange(hub, code_of(client)).json["id_token"]

    keys = KeySet.import_key_set(hub.get("/oauth/jwks.json").json)
    assert [key.kid for key in keys] == [new_kid, old_kid]
    assert jwt.decode(old_token, keys, algorithms=["RS256"]).header["kid"] == old_kid
    assert jwt.decode(new_token, keys, algorithms=["RS256"]).header["kid"] == new_kid
    with time_machine.travel(begun + timedelta(hours=25)):
        assert [key["kid"] for key in hub.get("/oauth/jwks.json").json["keys"]] == [new_kid]


def test_key_file_is_its_owners_alone_and_jwks_tells_no_private_part(hub: FlaskClient, settings: Settings) -> None:
    published = hub.get("/oauth/jwks.json").json["keys"]

    assert stat.S_IMODE(settings.oidc_key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.oidc_key_file.parent.stat().st_mode) == 0o700
    assert all(set(key) <= {"kty", "n", "e", "kid", "use", "alg"} for key in published)


def test_key_file_made_by_several_processes_at_once_is_one(tmp_path) -> None:
    rings = [KeyRing(tmp_path / "secrets" / "key.json") for _ in range(4)]
    barrier, kids = threading.Barrier(4), []

    def read(ring: KeyRing) -> None:
        barrier.wait()
        kids.append(ring.signing_key().kid)

    threads = [threading.Thread(target=read, args=(ring,)) for ring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(kids)) == 1
    assert len(kids) == 4


def forged(app: Flask, ada) -> dict[str, str]:
    """Return id tokens that somebody else made."""
    ring: KeyRing = app.extensions["oidc_provider"].keys
    kid = ring.signing_key().kid
    claims = {"iss": ISSUER, "aud": ["jupyterhub"], "sub": str(ada.id), "exp": 4102444800}
    own = RSAKey.generate_key(2048)

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    public = json.dumps(ring.public_set(now=datetime.now(UTC))["keys"][0]).encode()
    good = ring.signing_key()
    return {
        "none": f"{part({'alg': 'none', 'kid': kid})}.{part(claims)}.",
        "hs256 with the public key": jwt.encode({"alg": "HS256", "kid": kid}, claims, OctKey.import_key(public), algorithms=["HS256"]),
        "another key under our kid": jwt.encode({"alg": "RS256", "kid": kid}, claims, own, algorithms=["RS256"]),
        "embedded jwk": jwt.encode({"alg": "RS256", "jwk": own.as_dict(private=False)}, claims, own, algorithms=["RS256"]),
        "jku": jwt.encode({"alg": "RS256", "kid": kid, "jku": "https://evil.example/jwks"}, claims, own, algorithms=["RS256"]),
        "other issuer": jwt.encode({"alg": "RS256", "kid": kid}, claims | {"iss": "https://evil.example"}, good, algorithms=["RS256"]),
        "other audience": jwt.encode({"alg": "RS256", "kid": kid}, claims | {"aud": ["evil"]}, good, algorithms=["RS256"]),
        "other person": jwt.encode({"alg": "RS256", "kid": kid}, claims | {"sub": "somebody"}, good, algorithms=["RS256"]),
        "rubbish": "x.y.z",
    }


FORGERIES = [
    "none",
    "hs256 with the public key",
    "another key under our kid",
    "embedded jwk",
    "jku",
    "other issuer",
    "other audience",
    "other person",
    "rubbish",
]


@pytest.mark.parametrize("kind", FORGERIES)
def test_a05_forged_id_token_signs_nobody_out(app: Flask, client: FlaskClient, ada, kind: str) -> None:
    answer = client.get("/oauth/end-session", query_string={"id_token_hint": forged(app, ada)[kind], "post_logout_redirect_uri": "http://localhost:8001/hub/"})

    assert answer.status_code == 200
    assert "Sign out?" in answer.text
    assert is_signed_in(client)


@pytest.mark.parametrize("kind", FORGERIES)
def test_a05_forged_token_is_no_access_token(app: Flask, client: FlaskClient, hub: FlaskClient, ada, kind: str) -> None:
    assert userinfo(hub, forged(app, ada)[kind]).status_code == 401


def test_a05_id_token_and_refresh_token_are_no_access_tokens(client: FlaskClient, hub: FlaskClient, ada) -> None:
    tokens = exchange(hub, code_of(client)).json

    assert userinfo(hub, tokens["id_token"]).status_code == 401
    assert userinfo(hub, tokens["refresh_token"]).status_code == 401
    assert renew(hub, tokens["access_token"]).status_code == 400
    assert hub.get(f"/oauth/userinfo?access_token={tokens['access_token']}").status_code == 401
    assert hub.post("/oauth/userinfo", data={"access_token": tokens["access_token"]}).status_code == 401


@pytest.mark.parametrize("path", ["/security", "/people", "/organisations", "/messages", "/profile"])
def test_a06_access_token_opens_nothing_but_userinfo(client: FlaskClient, hub: FlaskClient, ada, path: str) -> None:
    token = exchange(hub, code_of(client)).json["access_token"]
    for headers in ({"Authorization": f"Bearer {token}"}, {"Authentication-Token": token}):
        answer = hub.get(path, headers=headers)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/sign-in")
    assert hub.get(f"{path}?auth_token={token}").status_code == 303


def test_a06_access_token_is_no_machine_key(client: FlaskClient, hub: FlaskClient, settings: Settings, ada) -> None:
    from portal.factory import create_hub_api_app

    token = exchange(hub, code_of(client)).json["access_token"]
    machine = create_hub_api_app(settings)
    for rule in machine.url_map.iter_rules():
        if "<" in rule.rule or machine.view_functions[rule.endpoint].__access_rule__.kind == "public":
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = machine.test_client().open(rule.rule, method=method, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, rule.rule


def test_a07_link_without_hint_asks_first(client: FlaskClient, ada) -> None:
    page = client.get("/oauth/end-session?client_id=jupyterhub&post_logout_redirect_uri=http://localhost:8001/hub/")
    assert page.status_code == 200
    assert is_signed_in(client)
    assert client.post("/oauth/end-session", data={"client_id": "jupyterhub"}).status_code == 400
    assert is_signed_in(client)

    answer = post(client, "/oauth/end-session", client_id="jupyterhub", post_logout_redirect_uri="http://localhost:8001/hub/", state="s1")
    assert (answer.status_code, answer.headers["Location"]) == (303, "http://localhost:8001/hub/?state=s1")
    assert not is_signed_in(client)


def test_a07_own_hint_signs_out_at_once(client: FlaskClient, hub: FlaskClient, ada) -> None:
    tokens = exchange(hub, code_of(client)).json
    thief = client.application.test_client()
    set_cookie(thief, str(cookie(client)))
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        answer = client.get("/oauth/end-session", query_string={"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "http://localhost:8001/hub/"})

        assert answer.headers["Location"] == "http://localhost:8001/hub/"
        assert not is_signed_in(client)
        assert not is_signed_in(thief)
        assert renew(hub, tokens["refresh_token"]).status_code == 400


@pytest.mark.parametrize("uri", ["http://evil.example/", "//evil.example", "http://localhost:8001/hub/x", "http://localhost:8001/", ""])
def test_a07_sign_out_leads_to_registered_addresses_alone(app: Flask, client: FlaskClient, ada, uri: str) -> None:
    assert post(client, "/oauth/end-session", client_id="jupyterhub", post_logout_redirect_uri=uri).headers["Location"] == "/"
    assert app.test_client().get("/oauth/end-session", query_string={"client_id": "jupyterhub", "post_logout_redirect_uri": uri}).headers["Location"] == "/"


def test_a07_portal_sign_out_ends_what_the_hub_was_given(client: FlaskClient, hub: FlaskClient, ada) -> None:
    tokens = exchange(hub, code_of(client)).json
    post(client, "/sign-out")

    assert userinfo(hub, tokens["access_token"]).status_code == 401
    assert renew(hub, tokens["refresh_token"]).status_code == 400


def test_sign_out_of_one_device_keeps_the_grants_of_the_other(app: Flask, client: FlaskClient, hub: FlaskClient, ada) -> None:
    phone = app.test_client()
    people.sign_in(phone, ada)
    of_phone, here = exchange(hub, code_of(phone)).json, exchange(hub, code_of(client)).json
    post(client, "/security/sessions/end-others")

    assert userinfo(hub, of_phone["access_token"]).status_code == 401
    assert userinfo(hub, here["access_token"]).status_code == 200


def test_discovery_says_what_there_is(hub: FlaskClient) -> None:
    found = hub.get("/.well-known/openid-configuration").json

    assert found["issuer"] == ISSUER
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["token_endpoint_auth_methods_supported"] == ["client_secret_basic"]
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]
    paths = {name: urlsplit(value).path for name, value in found.items() if name.endswith(("_endpoint", "_uri"))}
    assert paths == {
        "authorization_endpoint": "/oauth/authorize",
        "token_endpoint": "/oauth/token",
        "userinfo_endpoint": "/oauth/userinfo",
        "jwks_uri": "/oauth/jwks.json",
        "end_session_endpoint": "/oauth/end-session",
    }
