"""How the tables' object storage is reached, read from the environment as the AWS tools do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelake.config import Location


def storage_options(location: Location) -> dict[str, str] | None:
    """Options for `s3://` tables; None for a local lake.

    Commits are conditional puts, so that several hosts may seal into one set of tables without a
    lock service.
    """
    if location.is_local:
        return None
    options = {"conditional_put": "etag"}
    names = {
        "AWS_ACCESS_KEY_ID": "aws_access_key_id",
        "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
        "AWS_SESSION_TOKEN": "aws_session_token",
        "AWS_REGION": "aws_region",
        "AWS_ENDPOINT_URL": "aws_endpoint_url",
    }
    for variable, option in names.items():
        if value := os.environ.get(variable):
            options[option] = value
    if options.get("aws_endpoint_url", "").startswith("http://"):
        options["aws_allow_http"] = "true"
    return options
