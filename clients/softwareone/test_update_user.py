"""The two update endpoints: account user (JSON) and user (multipart), both a delta."""

import pytest
from softwareone.connect import marketplace


@pytest.fixture(scope="module")
def client(server):
    return marketplace(server.url, server.sample["softwareone"]["operations_token"])


@pytest.fixture(scope="module")
def account_id(server):
    return server.sample["softwareone"]["account_id"]


@pytest.fixture(params=["user", "account user"])
def users(request, client, account_id):
    if request.param == "user":
        return client.accounts.users
    return client.accounts.accounts.users(account_id)


@pytest.fixture
def person(server):
    return server.sample["users"][0]


@pytest.fixture
def user_id(person):
    return person["softwareone_id"]


def test_get(users, person, user_id):
    user = users.get(user_id)
    assert user.id == user_id
    assert user.email == person["email"]
    assert user.name == f"{user.first_name} {user.last_name}"
    assert isinstance(user.revision, int)


def test_update_answers_with_the_updated_user(users, user_id):
    before = users.get(user_id)
    updated = users.update(user_id, {"firstName": f"{before.first_name}-Zoë"})
    assert updated.first_name == f"{before.first_name}-Zoë"
    assert updated.name == f"{updated.first_name} {before.last_name}", "the name follows"
    assert updated.revision == before.revision + 1
    assert updated.to_dict() == users.get(user_id).to_dict()


def test_absent_stays_null_clears_a_value_replaces(users, user_id):
    users.update(user_id, {"lastName": "Lovelace", "phone": {"prefix": "+34", "number": "660707172"}})

    renamed = users.update(user_id, {"firstName": "Ada"})
    assert renamed.last_name == "Lovelace"
    assert renamed.phone.to_dict() == {"prefix": "+34", "number": "660707172"}

    cleared = users.update(user_id, {"phone": None})
    assert "phone" not in cleared.to_dict()
    assert (cleared.first_name, cleared.last_name) == ("Ada", "Lovelace")


def test_nested_objects_are_deltas_too(users, user_id):
    users.update(user_id, {"settings": {"cultureCode": "en-US", "languageCode": "en-US", "timeZone": "Europe/Madrid"}})
    settings = users.update(user_id, {"settings": {"languageCode": "es-ES", "timeZone": None}}).settings.to_dict()
    assert settings["languageCode"] == "es-ES"
    assert settings["cultureCode"] == "en-US"
    assert "timeZone" not in settings

    users.update(user_id, {"phone": {"prefix": "+34", "number": "660707172"}})
    assert users.update(user_id, {"phone": {"number": "1"}}).phone.to_dict() == {"prefix": "+34", "number": "1"}


def test_an_empty_change_changes_nothing(users, user_id):
    before = users.get(user_id).to_dict()
    assert users.update(user_id, {}).to_dict() == before
    assert users.get(user_id).to_dict() == before


def test_both_endpoints_show_the_same_person(client, account_id, user_id):
    client.accounts.accounts.users(account_id).update(user_id, {"firstName": "Grace", "lastName": "Hopper"})
    assert client.accounts.users.get(user_id).name == "Grace Hopper"
    client.accounts.users.update(user_id, {"lastName": "Murray"})
    assert client.accounts.accounts.users(account_id).get(user_id).name == "Grace Murray"


def test_the_account_user_names_its_account_and_groups(server, client, account_id, user_id):
    member = client.accounts.accounts.users(account_id).get(user_id)
    assert member.account.id == account_id
    assert member.user.id == user_id
    assert server.sample["softwareone"]["group_id"] in [group.id for group in member.groups]


def test_a_user_is_found_and_updated_by_email(client, person, user_id):
    assert client.accounts.users.get(person["email"]).id == user_id
    assert client.accounts.users.update(person["email"], {"firstName": "Katherine"}).first_name == "Katherine"
    assert client.accounts.users.get(user_id).first_name == "Katherine"


def test_the_whole_object_may_be_sent_back(users, user_id):
    whole = users.get(user_id).to_dict()
    assert users.update(user_id, {**whole, "firstName": "Radia"}).first_name == "Radia"


def test_a_user_without_rights_updates_himself(server, account_id):
    himself = server.sample["users"][1]["softwareone_id"]
    client = marketplace(server.url, server.sample["softwareone"]["client_token"])
    assert client.accounts.users.update(himself, {"firstName": "Margaret"}).first_name == "Margaret"
    member = client.accounts.accounts.users(account_id).update(himself, {"lastName": "Hamilton"})
    assert member.name == "Margaret Hamilton"
