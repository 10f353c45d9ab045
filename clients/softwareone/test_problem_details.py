"""Refusals arrive as the client's MPTAPIError, read from problem details."""

import pytest
from mpt_api_client.exceptions import MPTAPIError
from softwareone.connect import marketplace

TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


@pytest.fixture(scope="module")
def operations(server):
    return marketplace(server.url, server.sample["softwareone"]["operations_token"])


@pytest.fixture(scope="module")
def account_id(server):
    return server.sample["softwareone"]["account_id"]


@pytest.fixture(params=["user", "account user"])
def users_of(request, account_id):
    """The users service of a client: both endpoints refuse alike."""
    if request.param == "user":
        return lambda client: client.accounts.users
    return lambda client: client.accounts.accounts.users(account_id)


@pytest.fixture
def user_id(server):
    return server.sample["users"][0]["softwareone_id"]


def refused(status, call, *arguments):
    with pytest.raises(MPTAPIError) as raised:
        call(*arguments)
    error = raised.value
    assert error.status_code == status
    assert (error.status, error.title) == (status, TITLES[status])
    assert error.payload["detail"]
    assert str(error).startswith(f"{status} {TITLES[status]} - ")
    return error


@pytest.mark.parametrize("member", ["firstName", "lastName", "email"])
@pytest.mark.parametrize("value", [None, ""])
def test_400_required_member(users_of, operations, user_id, member, value):
    users = users_of(operations)
    before = users.get(user_id).to_dict()
    error = refused(400, users.update, user_id, {"phone": {"number": "1"}, member: value})
    assert list(error.errors) == [member]
    assert users.get(user_id).to_dict() == before, "nothing is half applied"


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"firstName": 7}, "firstName"),
        ({"email": "not an address"}, "email"),
        ({"phone": "660707172"}, "phone"),
        ({"phone": {"number": "1" * 16}}, "phone.number"),
        ({"settings": {"languageCode": 7}}, "settings.languageCode"),
    ],
)
def test_400_names_the_member(users_of, operations, user_id, change, member):
    error = refused(400, users_of(operations).update, user_id, change)
    assert list(error.errors) == [member]
    assert all(isinstance(message, str) for message in error.errors[member])


def test_400_user_part_is_not_json(operations, user_id):
    part = {"user": (None, b"{", "application/json")}
    refused(400, lambda: operations.http_client.request("put", f"/public/v1/accounts/users/{user_id}", files=part))


def test_401_unknown_token(server, users_of, user_id):
    users = users_of(marketplace(server.url, "idt:TKN-0000-0001:wrong"))
    refused(401, users.get, user_id)
    refused(401, users.update, user_id, {"firstName": "Ada"})


def test_403_somebody_else_of_the_same_account(server, users_of, operations, user_id):
    before = users_of(operations).get(user_id).to_dict()
    client = marketplace(server.url, server.sample["softwareone"]["client_token"])
    refused(403, users_of(client).update, user_id, {"firstName": "Ada"})
    assert users_of(operations).get(user_id).to_dict() == before


@pytest.mark.parametrize("unknown", ["USR-0000-0000", "nobody@example.com", "no-such-user"])
def test_404_unknown_user(users_of, operations, unknown):
    refused(404, users_of(operations).get, unknown)
    refused(404, users_of(operations).update, unknown, {"firstName": "Ada"})


@pytest.mark.parametrize("unknown", ["ACC-0000-0000", "no-such-account"])
def test_404_unknown_account(operations, user_id, unknown):
    users = operations.accounts.accounts.users(unknown)
    refused(404, users.get, user_id)
    refused(404, users.update, user_id, {"firstName": "Ada"})
