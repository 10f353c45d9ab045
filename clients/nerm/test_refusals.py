"""Refusals arrive as the SDK's own exceptions; their bodies have NERM's two error shapes."""

import json

import pytest
from nerm.connect import read, user_body, users_api
from sailpoint.nerm.exceptions import BadRequestException, NotFoundException, UnauthorizedException
from sailpoint.nerm.models.submit_user_request import SubmitUserRequest

UNKNOWN = "db6f8e8b-65c2-47d5-a0db-90bcc4e9df9e"


@pytest.fixture(scope="module")
def api(server):
    return users_api(server.url, server.sample["nerm"]["token"])


@pytest.fixture
def users(server):
    return server.sample["users"]


def refused(exception, call, *arguments):
    with pytest.raises(exception) as raised:
        call(*arguments)
    return json.loads(raised.value.body)


def test_400_missing_wrapper(api, users):
    error = refused(BadRequestException, api.patch_user, users[0]["id"], SubmitUserRequest())
    assert error == {"error": "param is missing or the value is empty: user"}
    # an empty user counts as missing, as it does for Rails, whose words these are
    assert refused(BadRequestException, api.patch_user, users[0]["id"], user_body()) == error


def test_400_invalid_json(api, users):
    not_a_number = user_body(name=float("nan"))  # the SDK writes a bare NaN, which is not JSON
    error = refused(BadRequestException, api.patch_user, users[0]["id"], not_a_number)
    assert error == {"error": "Invalid JSON syntax. Please check your syntax and try again."}


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("name", ""),
        ("name", None),
        ("name", 7),
        ("email", "not an address"),
        ("email", None),
        ("login", None),
        ("status", "Hibernating"),
        ("status", None),
        ("type", "Wookiee"),
    ],
)
def test_400_invalid_attribute(api, users, attribute, value):
    before = read(api.get_user_without_preload_content(users[0]["id"]))
    change = user_body(**{"title": "Half applied", attribute: value})
    error = refused(BadRequestException, api.patch_user, users[0]["id"], change)
    assert error["error"] == "The User failed to create/update"
    assert list(error["errors"]) == [attribute]
    messages = error["errors"][attribute]
    assert messages and all(isinstance(message, str) for message in messages)
    assert read(api.get_user_without_preload_content(users[0]["id"])) == before


def test_400_login_of_somebody_else(api, users):
    change = user_body(login=users[1]["username"])
    error = refused(BadRequestException, api.patch_user, users[0]["id"], change)
    assert error["error"] == "The User failed to create/update"
    assert error["errors"] == {"login": ["has already been taken"]}


def test_401_wrong_key(server, users):
    stranger = users_api(server.url, "ne-WrongKey")
    for call in (stranger.get_user, lambda user: stranger.patch_user(user, user_body(title="X"))):
        assert isinstance(refused(UnauthorizedException, call, users[0]["id"])["error"], str)


@pytest.mark.parametrize("user_id", [UNKNOWN, "no-such-user", "a/b ż"])
def test_404_unknown_user(api, user_id):
    for call in (api.get_user, lambda user: api.patch_user(user, user_body(title="X"))):
        assert isinstance(refused(NotFoundException, call, user_id)["error"], str)
