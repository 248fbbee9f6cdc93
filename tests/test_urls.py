"""What a URL may tell, and what is taken out of a run's records."""

import pytest

from pipeline.reports.scrubbing import scrub
from pipeline.urls import find_secrets, take_credentials


@pytest.mark.parametrize(
    ("url", "left", "user", "password"),
    [
        ("http://u:p@h:5000/path?a=b", "http://h:5000/path?a=b", "u", "p"),
        ("https://u%40x:p@ss%2F@[::1]:1", "https://[::1]:1", "u@x", "p@ss/"),
        ("http://h:5000", "http://h:5000", "", ""),
    ],
)
def test_credentials_are_taken_out_of_an_address(url, left, user, password):
    assert take_credentials(url) == (left, user, password)


@pytest.mark.parametrize("password", ["swordfish@sesame-seed", "swordfish/sesame-seed", "swordfish%3Fsesame-seed"])
@pytest.mark.parametrize(
    "variable", ["DATABASE_URL=mysql://{}@db/x", "https_proxy=http://{}@proxy:3128", "MLFLOW_TRACKING_URI=http://{}@m"]
)
def test_passwords_of_urls_and_their_pieces_leave_the_records(monkeypatch, variable, password):
    name, _, url = variable.partition("=")
    monkeypatch.setenv(name, url.format(f"reader:{password}"))
    said = scrub(
        f"could not translate host name sesame-seed@db, of {url.format(f'reader:{password}')}: reader, 12345678"
    )
    assert "swordfish" not in said and "sesame-seed" not in said
    assert "host name" in said and "reader, 12345678" in said


def test_a_token_of_spark_connect_is_a_secret_and_an_address_without_one_has_none():
    assert find_secrets("sc://h:15002/;token=abcdefghij;user_id=me") == {"abcdefghij"}
    assert not find_secrets("https://registry:443/some-scope-of-mine")
