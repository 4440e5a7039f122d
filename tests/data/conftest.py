import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Prepared clouds go to a folder of the test's, never to the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("POINTCMT_CACHE", str(folder))
    return folder
