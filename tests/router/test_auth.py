"""Who may come in."""

from __future__ import annotations

import pytest

from hetops.router.auth import allowed, parse_keys

KEYS = parse_keys("# team a\nsk-one\n\n  sk-two  \n")


@pytest.mark.parametrize("value", [b"Bearer sk-one", b"bearer sk-two", b"Bearer   sk-one  "])
def test_every_key_of_the_file_opens(value: bytes) -> None:
    assert allowed(value, KEYS)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"sk-one",
        b"Basic sk-one",
        b"Bearer sk-on",
        b"Bearer sk-onee",
        b"Bearer # team a",
    ],
)
def test_nothing_else_does(value: bytes) -> None:
    assert not allowed(value, KEYS)


def test_keys_are_kept_as_digests_only() -> None:
    assert "sk-one" not in repr(KEYS)
    assert {len(d) for d in KEYS.digests} == {32}


def test_a_file_of_comments_has_no_key() -> None:
    assert parse_keys("# nothing\n\n").digests == ()
    assert not allowed(b"Bearer ", parse_keys(""))
