"""How an application talks to Patchbay with SoftwareOne's own client: only the base URL differs."""

from mpt_api_client import BearerTokenAuthentication, MPTClient


def marketplace(url: str, token: str) -> MPTClient:
    return MPTClient.from_config(BearerTokenAuthentication(token), url)
