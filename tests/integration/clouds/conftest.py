"""Fixtures of the tests with clouds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.clouds.servers import AzureContainer, Bucket, GoogleBucket, azure_server, google_server


@pytest.fixture(scope="session")
def _google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with google_server(tmp_path_factory.mktemp("google")) as port:
        yield port


@pytest.fixture(scope="session")
def _azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with azure_server(tmp_path_factory.mktemp("azure")) as port:
        yield port


@pytest.fixture
def google(_google: int) -> GoogleBucket:
    return GoogleBucket(_google)


@pytest.fixture
def azure(_azure: int) -> AzureContainer:
    return AzureContainer(_azure)


@pytest.fixture(params=["google", "azure"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket of each cloud in turn."""
    found: Bucket = request.getfixturevalue(request.param)
    return found
