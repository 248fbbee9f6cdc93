"""What a URL with a password in it tells when something is wrong: its user and its host."""

import sys

import pytest

from pipeline.sql.__main__ import main
from pipeline.sql.address import names_postgresql, read_address

PASSWORDS = [
    "open@sesame",
    "open/sesame",
    "open#sesame",
    "open?sesame",
    "open%sesame",
    "99/open@sesame?x",
    "open sesame",
]


@pytest.fixture
def ask(market, monkeypatch, capsys):
    """Call `python -m pipeline.sql` in this process: exit code, and what it says is wrong."""

    def run(address: str, given: bool = True) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["sql", "--run-dir", str(market), *(["--database-url", address] * given)])
        monkeypatch.delenv("DATABASE_URL", raising=False)
        if not given:
            monkeypatch.setenv("DATABASE_URL", address)
        code = main()
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2", "mysql", "sqlite"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_no_piece_of_a_password_is_told(ask, password, scheme):
    """Nothing listens at port 1: what the driver understands is refused there."""
    for given in (True, False):
        code, said = ask(f"{scheme}://reader:{password}@127.0.0.1:1/market", given)
        assert code in ((2, 3) if given or scheme.startswith("postgres") else (0,))
        assert said.startswith("error: " if code else "warning: ")
        assert not any(piece in said for piece in ("open", "sesame", "99"))


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://reader:open%20sesame@127.0.0.1:1/x",
        "postgresql://reader:open-sesame@[bad/x",
        "postgresql://reader:open-sesame@127.0.0.1:1/x?password=sesame&unknown=open",
        "postgresql://reader@127.0.0.1:1/x?sslmode=open-sesame",
        "postgresql://reader:open%00sesame@127.0.0.1:1/x",
        "postgresql://reader:open\nsesame@127.0.0.1:1/x",
    ],
)
def test_no_other_piece_of_an_address_is_told(ask, address):
    code, said = ask(address)
    assert code in (2, 3)
    assert said.startswith("error: ") and said.count("\n") == 1
    assert "open" not in said and "sesame" not in said


def test_the_host_is_told(ask):
    code, said = ask("postgresql://reader:open-sesame@127.0.0.1:1/x")
    assert code == 3
    assert '"127.0.0.1", port 1 failed' in said


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgres://u:p@h/x", {"u", "h"}),
        ("postgresql:///x?host=/var/run&user=u", {"u", "/var/run"}),
        ("postgresql://u:p#1?2:3@one:5432,[::1]:5433/x", {"u", "one", "::1"}),
        ("postgresql://", set()),
    ],
)
def test_an_address_is_read_as_the_driver_reads_it(address, told):
    assert names_postgresql(address)
    read, may_be_told = read_address(address)
    assert read == address.replace("postgres://", "postgresql://")
    assert may_be_told == told
