"""The picture: a part of the multipart update, recognised by its content."""

import base64
import io

import pytest
from mpt_api_client.exceptions import MPTAPIError
from softwareone.connect import marketplace

# One red pixel; and the beginning and end of a JPEG, which is all that makes one recognisable.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP4z8DwHwAFAAH/VscvDQAAAABJRU5ErkJggg=="
)
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
LIMIT = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def client(server):
    return marketplace(server.url, server.sample["softwareone"]["operations_token"])


@pytest.fixture
def user_id(server):
    return server.sample["users"][0]["softwareone_id"]


def fetch_icon(client, user_id):
    """The picture of a user, and its type. The client has no method for it, so one layer deeper."""
    answer = client.http_client.request("get", f"/public/v1/accounts/users/{user_id}/icon")
    return answer.content, answer.headers["content-type"]


def test_an_opened_file_is_stored_and_fetched_back(client, user_id, tmp_path):
    path = tmp_path / "icon.png"
    path.write_bytes(PNG)
    with path.open("rb") as picture:
        user = client.accounts.users.update(user_id, {"firstName": "Zoë"}, file=picture)
    assert user.first_name == "Zoë"
    assert user.icon == f"/v1/accounts/users/{user_id}/icon"
    assert fetch_icon(client, user_id) == (PNG, "image/png")


def test_the_content_decides_not_the_name(client, user_id):
    client.accounts.users.update(user_id, {}, file=("picture.png", JPEG, "image/png"))
    assert fetch_icon(client, user_id) == (JPEG, "image/jpeg")
    # Without a name the client says `upload` and `application/octet-stream`.
    client.accounts.users.update(user_id, {}, file=io.BytesIO(PNG))
    assert fetch_icon(client, user_id) == (PNG, "image/png")


def test_an_update_without_a_picture_keeps_the_old_one(client, user_id):
    client.accounts.users.update(user_id, {}, file=("icon.jpg", JPEG, "image/jpeg"))
    client.accounts.users.update(user_id, {"firstName": "Ada"})
    assert fetch_icon(client, user_id) == (JPEG, "image/jpeg")


def test_the_same_picture_again_is_no_change(client, user_id):
    first = client.accounts.users.update(user_id, {}, file=("icon.png", PNG, "image/png"))
    assert client.accounts.users.update(user_id, {}, file=("icon.png", PNG, "image/png")).revision == first.revision


def test_5_mib_are_accepted_and_one_byte_more_is_413(client, user_id):
    largest = PNG + bytes(LIMIT - len(PNG))
    client.accounts.users.update(user_id, {}, file=("icon.png", largest, "image/png"))
    assert fetch_icon(client, user_id) == (largest, "image/png")

    with pytest.raises(MPTAPIError) as raised:
        client.accounts.users.update(user_id, {"firstName": "Half"}, file=("icon.png", largest + b"\0", "image/png"))
    assert raised.value.status_code == raised.value.status == 413
    assert fetch_icon(client, user_id) == (largest, "image/png")
    assert client.accounts.users.get(user_id).first_name != "Half"


@pytest.mark.parametrize("content", [b"GIF89a\x01\x00\x01\x00", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"text"])
def test_what_is_neither_png_nor_jpeg_is_400(client, user_id, content):
    with pytest.raises(MPTAPIError) as raised:
        client.accounts.users.update(user_id, {"firstName": "Half"}, file=("icon.png", content, "image/png"))
    assert raised.value.status_code == raised.value.status == 400
    assert "icon" in raised.value.errors
    assert client.accounts.users.get(user_id).first_name != "Half"
