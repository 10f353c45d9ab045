"""Reading and updating a NERM user: absent, null and value told apart."""

import re

import pytest
from nerm.connect import read, user_body, users_api


@pytest.fixture(scope="module")
def api(server):
    return users_api(server.url, server.sample["nerm"]["token"])


@pytest.fixture
def person(server):
    return server.sample["users"][0]


def get(api, user_id):
    status, body = read(api.get_user_without_preload_content(user_id))
    assert status == 200, body
    return body["user"]


def patch(api, user_id, **fields):
    status, body = read(api.patch_user_without_preload_content(user_id, user_body(**fields)))
    assert status == 200, body
    return body["user"]


def test_get_user_returns_the_wrapped_user(api, person):
    user = get(api, person["id"])
    assert user["id"] == person["id"]
    assert re.fullmatch(r"[0-9a-f]{32}", user["uid"])
    assert user["email"] == person["email"]
    assert user["login"] == person["username"]
    assert user["type"] in ("NeprofileUser", "NeaccessUser")
    assert user["status"] in ("Active", "Pending", "Disabled")


def test_patch_user_answers_with_the_updated_user(api, person):
    updated = patch(api, person["id"], title="Director", locale="fr-CA")
    assert (updated["title"], updated["locale"]) == ("Director", "fr-CA")
    assert updated == get(api, person["id"])


def test_a_value_replaces_null_clears_and_what_is_absent_stays(api, person):
    before = patch(api, person["id"], title="Director", locale="fr-CA")
    after = patch(api, person["id"], title=None, name="Hannah Solo")
    assert after.get("title") is None
    assert after["name"] == "Hannah Solo"
    untouched = before.keys() - {"title", "name", "updated_at"}
    assert {name: after.get(name) for name in untouched} == {name: before[name] for name in untouched}


@pytest.mark.parametrize("status", ["Disabled", "Pending", "Active"])
def test_status_is_set(api, person, status):
    assert patch(api, person["id"], status=status)["status"] == status
    assert get(api, person["id"])["status"] == status


def test_group_strings_are_kept_as_written(api, person):
    groups = "Administrator_group, Developer_group"
    assert patch(api, person["id"], group_strings=groups)["group_strings"] == groups


def test_the_id_may_be_repeated_in_the_body(api, person):
    assert patch(api, person["id"], id=person["id"], title="Captain")["title"] == "Captain"


def test_an_empty_change_changes_nothing(api, person):
    before = get(api, person["id"])
    assert patch(api, person["id"], id=person["id"]) == before


def test_the_older_token_scheme_is_accepted(server, api, person):
    scheme = {"type": "api_key", "in": "header", "key": "Authorization"}
    older = {**scheme, "value": f"Token token={server.sample['nerm']['token']}"}
    status, body = read(api.get_user_without_preload_content(person["id"], _request_auth=older))
    assert (status, body["user"]["id"]) == (200, person["id"])
