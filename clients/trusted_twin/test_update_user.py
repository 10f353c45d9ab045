"""Trusted Twin's own Python client against Patchbay: only `tt_base` differs.

The client returns `(status, text)` for every answer and never raises.
"""

import json

import pytest
from trustedtwin.tt_api import TTRESTService


@pytest.fixture(scope="module")
def twin(server):
    return TTRESTService(tt_auth=server.sample["trusted_twin"]["secret"], tt_base=server.url)


@pytest.fixture
def user(server):
    return server.sample["users"][0]["id"]


def ok(answer):
    status, text = answer
    assert status == 200, text
    return json.loads(text)


def test_get_user_returns_the_whole_user(server, twin, user):
    found = ok(twin.get_user(user))
    assert found["uuid"] == user
    assert found["account"] == server.sample["trusted_twin"]["account"]
    assert isinstance(found["name"], str)
    assert isinstance(found["role"], str)
    assert found["created_ts"] <= found["updated_ts"]


def test_update_user_answers_with_the_user(twin, user):
    updated = ok(twin.update_user(user, body={"name": "Oliver Adams"}))
    assert updated["name"] == "Oliver Adams"
    assert updated == ok(twin.get_user(user))


def test_description_has_three_states(twin, user):
    described = ok(twin.update_user(user, body={"description": {"company": "Zażółć", "n": 1, "x": [1, None, True]}}))
    assert described["description"] == {"company": "Zażółć", "n": 1, "x": [1, None, True]}

    replaced = ok(twin.update_user(user, body={"description": {"badge": "7"}}))
    assert replaced["description"] == {"badge": "7"}, "replaced as a whole, keys are not merged"

    renamed = ok(twin.update_user(user, body={"name": "Oliver A"}))
    assert renamed["description"] == {"badge": "7"}, "absent: unchanged"

    emptied = ok(twin.update_user(user, body={"description": {}}))
    assert emptied["description"] == {}, "empty: shown as empty"

    unset = ok(twin.update_user(user, body={"description": None}))
    assert "description" not in unset, "null: not shown at all"
    assert "description" not in ok(twin.get_user(user))


def test_description_does_not_touch_the_rest(twin, user):
    before = ok(twin.get_user(user))
    after = ok(twin.update_user(user, body={"description": {"k": "v"}}))
    assert {**before, "description": None, "updated_ts": 0} == {**after, "description": None, "updated_ts": 0}


# `body={}` sends `{}`; `json={}` makes this client send no body at all, as older ones do for both.
@pytest.mark.parametrize("nothing", [{"body": {}}, {"json": {}}])
def test_an_empty_change_changes_nothing(twin, user, nothing):
    before = ok(twin.get_user(user))
    assert ok(twin.update_user(user, **nothing)) == before
    assert ok(twin.get_user(user)) == before


def test_a_role_that_exists_is_taken(server, twin):
    other = server.sample["users"][1]["id"]
    role = server.sample["trusted_twin"]["role"]
    assert ok(twin.update_user(other, body={"role": role}))["role"] == role


def test_the_dictionary_header_is_tolerated(twin, user):
    assert ok(twin.get_user(user, dictionary={"serial": "123"}))["uuid"] == user
