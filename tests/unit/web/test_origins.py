import socket

import pytest

from cti.certificates import encrypted, reached_by_https
from cti.errors import ConfigError
from cti.settings import load_settings
from cti.web.auth.origins import allowed_origins, usual_origin
from cti.web.deps import phone_server
from cti.web.security import content_security_policy


def settings(**overrides):
    return load_settings(environ={}, overrides=overrides)


def test_origins_are_every_address_we_are_known_by():
    known = allowed_origins(
        settings(**{"network.bind": "0.0.0.0", "network.public_address": "Floor.example", "ports.offset": 10})
    )
    assert known == {
        f"{scheme}://{host}:8090"
        for scheme in ("http", "https")
        for host in ("floor.example", "localhost", "127.0.0.1", "[::1]", socket.gethostname().lower())
    }


def test_every_name_of_the_certificate_is_an_origin_as_browsers_write_it():
    chosen = settings(**{"network.bind": "0.0.0.0", "tls.names": ["bücher.example", "FD00:0::1"], "ports.web": 443})
    assert {"https://xn--bcher-kva.example", "https://[fd00::1]"} <= allowed_origins(chosen, schemes=("https",))


def test_the_usual_origin_is_the_public_address():
    chosen = settings(
        **{"network.bind": "0.0.0.0", "network.public_address": "Floor.example", "tls.names": ["a.example"]}
    )
    assert usual_origin(chosen, "https") == "https://floor.example:8080"
    assert usual_origin(chosen, "https") in allowed_origins(chosen)


def test_the_schemes_own_port_is_left_out_and_ipv6_is_in_brackets():
    known = allowed_origins(settings(**{"network.public_address": "fd00::1", "ports.web": 443}), extra=["https://x"])
    assert {"https://[fd00::1]", "http://[fd00::1]:443", "https://x"} <= known
    assert not any("0.0.0.0" in origin for origin in known)


def test_the_phone_server_is_where_the_settings_place_it():
    phone = phone_server(settings(**{"network.public_address": "10.0.0.5", "ports.offset": 100}), {"1001": "p"})
    assert (phone.ws_url, phone.registrar, phone.domain) == ("ws://10.0.0.5:8188/ws", "10.0.0.5:5160", "10.0.0.5")


def test_behind_a_proxy_browsers_come_by_its_address():
    chosen = settings(**{"network.public_url": "HTTPS://CC.example.com:443/", "tls.mode": "off"})
    assert chosen.network.public_url == usual_origin(chosen, "http") == "https://cc.example.com"
    assert {"https://cc.example.com", "http://127.0.0.1:8080"} <= allowed_origins(chosen)
    assert phone_server(chosen, {}).ws_url == "wss://cc.example.com/ws"
    assert (encrypted(chosen), reached_by_https(chosen)) == (False, True)
    plain = settings(**{"network.public_url": "http://cc.example:81"})
    assert (phone_server(plain, {}).ws_url, reached_by_https(plain)) == ("ws://cc.example:81/ws", False)
    assert reached_by_https(settings(**{"network.bind": "0.0.0.0"}))
    assert not reached_by_https(settings())


@pytest.mark.parametrize(
    "url", ["cc.example.com", "https://cc.example.com/app", "https://u@cc.example", "ftp://x", "https://"]
)
def test_a_public_url_that_is_no_origin_is_refused(url):
    with pytest.raises(ConfigError, match="public_url"):
        settings(**{"network.public_url": url})


def test_the_policy_names_the_phone_server_and_the_own_feeds():
    policy = content_security_policy(
        phone_ws="wss://phone.example:8089/ws", origins=frozenset({"https://floor.example"})
    )
    assert "connect-src 'self' wss://phone.example:8089/ws wss://floor.example/api/v1/feed;" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


def test_the_policy_names_no_address_of_ipv6_which_it_cannot_say() -> None:
    policy = content_security_policy(
        phone_ws="ws://127.0.0.1:8088/ws", origins=frozenset({"http://[::1]:8080", "http://127.0.0.1:8080"})
    )
    assert "connect-src 'self' ws://127.0.0.1:8088/ws ws://127.0.0.1:8080/api/v1/feed;" in policy
