"""Every documented refusal of get_user and update_user: its status, its subcode and a trace.

The 5xx subcodes have no test: no request may cause one, so there is nothing to send.
"""

import json

import pytest
from trustedtwin.tt_api import TTRESTService

UNKNOWN = "3d0f1348-612a-4804-b632-24c4b871e76e"


@pytest.fixture
def users(server):
    return server.sample["users"]


@pytest.fixture
def connect(server):
    return lambda secret: TTRESTService(tt_auth=secret, tt_base=server.url)


@pytest.fixture
def twin(server, connect):
    return connect(server.sample["trusted_twin"]["secret"])


def refused(answer, subcode):
    status, text = answer
    error = json.loads(text)
    assert (status, error["subcode"]) == (subcode // 1000, subcode), text
    assert isinstance(error["subcode"], int)
    assert isinstance(error["trace"], str) and error["trace"]
    assert isinstance(error["description"], str) and error["description"]
    return error


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},  # 2 to 32 letters
        {"name": "x" * 33},
        {"name": "-leading"},
        {"name": "trailing\n"},
        {"name": None},
        {"name": 7},
        {"role": None},
        {"role": "not-a-uuid"},
        {"role": UNKNOWN},  # well formed, but no such role
        {"description": "text"},
        {"description": ["a"]},
        {"description": {"Upper": "case"}},
        {"description": {"": "empty"}},
        {"description": {"k" * 65: "long"}},
        [{"name": "Oliver"}],
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_400589_format(twin, users, body):
    before = twin.get_user(users[0]["id"])
    refused(twin.update_user(users[0]["id"], body=body), 400589)
    assert twin.get_user(users[0]["id"]) == before


def test_a_refused_member_refuses_the_whole_change(twin, users):
    refused(twin.update_user(users[0]["id"], body={"name": "Half Applied", "role": UNKNOWN}), 400589)
    assert json.loads(twin.get_user(users[0]["id"])[1])["name"] != "Half Applied"


@pytest.mark.parametrize("text", [b"{", b"name=Oliver", b'{"name": "Oliver"} more', b'{"name": NaN}'])
def test_400415_not_json(twin, users, text):
    refused(twin.update_user(users[0]["id"], data=text), 400415)


def test_400314_not_utf8(twin, users):
    refused(twin.update_user(users[0]["id"], data=b'{"name": "Oliv\xe9r"}'), 400314)


def test_400141_more_than_64_kib(twin, users):
    refused(twin.update_user(users[0]["id"], body={"description": {"k": "x" * 65_536}}), 400141)


def test_64_kib_less_the_wrapping_is_accepted(twin, users):
    status, text = twin.update_user(users[2]["id"], body={"description": {"k": "x" * 63_000}})
    assert status == 200, text


@pytest.mark.parametrize("secret", ["S" * 64, "", None, "Bearer x"])
def test_401000_wrong_or_missing_secret(connect, users, secret):
    refused(connect(secret).get_user(users[0]["id"]), 401000)
    refused(connect(secret).update_user(users[0]["id"], body={"name": "Oliver"}), 401000)


def test_403535_role_without_update_user(twin, connect, users):
    caller = connect(users[2]["trusted_twin_secret"])
    for target in (users[0], users[2]):  # neither somebody else nor himself
        before = twin.get_user(target["id"])
        refused(caller.update_user(target["id"], body={"name": "Oliver"}), 403535)
        assert twin.get_user(target["id"]) == before


def test_403535_role_wider_than_ones_own(server, twin, connect, users):
    wide = server.sample["trusted_twin"]["role"]
    caller = connect(server.sample["nerm"]["token"])  # may read and update users, and nothing more
    status, text = caller.update_user(users[1]["id"], body={"name": "Oliver Adams"})
    assert status == 200, text
    own = json.loads(text)["role"]
    assert own != wide

    refused(caller.update_user(users[1]["id"], body={"role": wide}), 403535)
    assert json.loads(twin.get_user(users[1]["id"])[1])["role"] == own


def test_404653_unknown_user(twin):
    refused(twin.get_user(UNKNOWN), 404653)
    refused(twin.update_user(UNKNOWN, body={"name": "Oliver"}), 404653)
