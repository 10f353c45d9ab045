"""How an application talks to Patchbay with SailPoint's own SDK: only the base URL differs.

SDK 2.1.72 cannot send or read the wrapped user it documents: its model wants an object with
`to_dict()` where its own validation wants a dict, and reading `{"user": ...}` is a NameError.
Two detours make the calls work: `user_body` builds the request past the validation, and the
`..._without_preload_content` methods hand over the answer unparsed.
"""

import json

from sailpoint.configuration import Configuration, ConfigurationParams
from sailpoint.nerm.api.users_api import UsersApi
from sailpoint.nerm.api_client import ApiClient
from sailpoint.nerm.models.submit_user_request import SubmitUserRequest


def users_api(url: str, token: str) -> UsersApi:
    params = ConfigurationParams()
    params.base_url = params.nerm_base_url = f"{url}/api"
    params.access_token = token  # set, so that the SDK does not ask an OAuth server for one
    return UsersApi(ApiClient(Configuration(params)))


class _Fields(dict):
    def to_dict(self):
        return dict(self)


def user_body(**fields) -> SubmitUserRequest:
    return SubmitUserRequest.model_construct(user=_Fields(fields))


def read(response) -> tuple[int, dict]:
    return response.status, json.loads(response.data)
