"""Where everything lies, closed to others; what may name a deployment; and that removing leaves nothing."""

from __future__ import annotations

import errno
import shutil
import threading
from pathlib import Path

import pytest

from hetops.errors import HetopsError, UsageError
from hetops.state import lock
from hetops.state.home import RESERVED, Home, home


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_root_is_what_the_user_names_else_beside_the_spec_else_the_users_own(tmp_path: Path) -> None:
    named = {"HETOPS_STATE": str(tmp_path / "named")}
    assert home(named, beside=tmp_path).root == tmp_path / "named"
    assert home({}, beside=tmp_path).root == tmp_path / ".hetops"
    assert home({"XDG_STATE_HOME": str(tmp_path)}).root == tmp_path / "hetops"
    assert home({}).root == Path("~/.local/state/hetops").expanduser()
    assert home({"HETOPS_STATE": "~/x"}).root == Path("~/x").expanduser()
    assert home({"HETOPS_STATE": "relative"}).root.is_absolute()


@pytest.mark.parametrize("name", ["a", "chat", "chat-2", "0", "a" * 32])
def test_a_plain_name_names_a_deployment(name: str, tmp_path: Path) -> None:
    assert Home(root=tmp_path).deployment(name).path == tmp_path / name


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "Chat", "-a", "a-", "a" * 33, "a\n", "ä", *sorted(RESERVED)]
)
def test_any_other_name_is_a_usage_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot name a deployment"):
        Home(root=tmp_path).deployment(name)


def test_the_folders_are_closed_to_others_and_the_passphrase_above_all(tmp_path: Path) -> None:
    folder = Home(root=tmp_path / "root").deployment("chat").create()
    for path in (tmp_path / "root", folder.path, folder.backend, folder.work, folder.intents, folder.router):
        assert mode(path) == 0o700, path
    assert mode(folder.passphrase) == 0o600
    assert len(folder.passphrase.read_text()) == 64


def test_creating_again_keeps_the_passphrase(tmp_path: Path) -> None:
    folder = Home(root=tmp_path).deployment("chat")
    first = folder.create().passphrase.read_text()
    assert folder.create().passphrase.read_text() == first
    assert Home(root=tmp_path).deployment("code").create().passphrase.read_text() != first


def test_two_at_once_agree_on_one_passphrase(tmp_path: Path) -> None:
    together = threading.Barrier(8)
    read: list[str] = []

    def make() -> None:
        together.wait(10)
        read.append(Home(root=tmp_path).deployment("chat").create().passphrase.read_text())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(read) == 8
    assert len(set(read)) == 1
    assert len(read[0]) == 64


def test_a_deployment_is_known_by_its_lock_and_reserved_folders_are_none(tmp_path: Path) -> None:
    root = Home(root=tmp_path)
    for name in ("chat", "code"):
        root.deployment(name).create()
    with lock.hold(root.deployment("chat").lock):
        pass
    root.history.mkdir()
    (root.history / "lock").touch()
    assert [d.name for d in root.deployments()] == ["chat"]
    assert Home(root=tmp_path / "nowhere").deployments() == ()


def test_removing_leaves_nothing_of_a_deployment_and_everything_of_the_others(tmp_path: Path) -> None:
    root = Home(root=tmp_path)
    (outside := tmp_path / "outside").mkdir()
    (outside / "kept").touch()
    folder = root.deployment("chat").create()
    (folder.path / "link").symlink_to(outside)
    root.deployment("code").create()
    root.history.mkdir()
    with lock.hold(folder.lock):
        folder.remove()
    assert not folder.path.exists()
    assert (outside / "kept").exists()
    assert root.deployment("code").passphrase.exists()
    folder.remove()


def test_what_cannot_be_removed_leaves_the_lock_for_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Home(root=tmp_path).deployment("chat").create()

    def busy(_path: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(shutil, "rmtree", busy)
    with lock.hold(folder.lock), pytest.raises(HetopsError, match="Device or resource busy"):
        folder.remove()
    assert folder.exists


def test_a_root_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HetopsError) as caught:
        Home(root=tmp_path / "file").deployment("chat").create()
    assert "cannot be written" in caught.value.message
    assert "HETOPS_STATE" in caught.value.hint
