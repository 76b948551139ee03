"""How the tables' object storage is reached, read from the environment as the AWS tools do.

storage_options(location) -> options for deltalake and polars, None for a local lake
file_system(root, options) -> where a table's files can be listed, read and deleted
write_object(uri, data, options)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

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


def file_system(root: str, options: dict[str, str] | None) -> tuple[FileSystem, str]:
    """The file system that holds a folder, and the folder's path in it.

    Args:
        root: A local path or an `s3://` URI.
        options: As `storage_options` gives them.
    """
    from pyarrow.fs import LocalFileSystem, S3FileSystem

    if options is None:
        return LocalFileSystem(), root
    arguments: dict[str, Any] = {
        "access_key": options.get("aws_access_key_id"),
        "secret_key": options.get("aws_secret_access_key"),
        "session_token": options.get("aws_session_token"),
        "region": options.get("aws_region"),
        "endpoint_override": options.get("aws_endpoint_url"),
    }
    system = S3FileSystem(**{key: value for key, value in arguments.items() if value})
    return system, root.removeprefix("s3://")


def write_object(uri: str, data: bytes, options: dict[str, str]) -> None:
    """Put one object, whole."""
    system, path = file_system(uri, options)
    with system.open_output_stream(path) as stream:
        stream.write(data)
