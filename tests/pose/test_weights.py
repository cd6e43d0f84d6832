"""Networks are handed to native code only if they are those that were shipped."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wan_prep.cli import run
from wan_prep.errors import PoseModelError
from wan_prep.pose import weights
from wan_prep.pose.mediapipe import MediapipeEstimator, identity_of
from wan_prep.pose.movenet import MoveNet
from wan_prep.pose.weights import FACE_BUNDLE, PEOPLE_MODEL, POSE_BUNDLE, SHIPPED, verified_model

FIXTURES = Path(__file__).parents[2] / "fixtures"
PAIR = [str(FIXTURES / "reference.png"), str(FIXTURES / "driving.mp4")]
Damage = Callable[[Path], None]


def with_one_bit_turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: tuple[Damage, ...] = (
    with_one_bit_turned,
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(b""),
    Path.unlink,
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the shipped networks, which this process takes for its own."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in SHIPPED:
        shutil.copy(weights.shipped_model(name), folder / name)
    monkeypatch.setattr(weights, "shipped_model", lambda name=POSE_BUNDLE: folder / name)
    weights.found_sha256.cache_clear()
    yield folder
    weights.found_sha256.cache_clear()


def test_an_undamaged_copy_is_verified(installed: Path) -> None:
    assert [verified_model(name) for name in SHIPPED] == [installed / name for name in SHIPPED]


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("damage", DAMAGES, ids=["bit", "cut", "empty", "gone"])
def test_any_change_is_refused_and_says_what_to_do(
    name: str, damage: Damage, installed: Path
) -> None:
    damage(installed / name)
    with pytest.raises(PoseModelError, match=r"install wan-prep again") as caught:
        verified_model(name)
    assert str(installed / name) in str(caught.value)


@pytest.mark.model
@pytest.mark.parametrize("name", [POSE_BUNDLE, FACE_BUNDLE])
def test_no_bundle_that_was_changed_reaches_mediapipe(name: str, installed: Path) -> None:
    """It stays a bundle that MediaPipe would load: only its hash tells."""
    with zipfile.ZipFile(installed / name, "a") as bundle:
        bundle.writestr("note.txt", "another one")
    with pytest.raises(PoseModelError, match="expected the network that wan-prep ships"):
        MediapipeEstimator()


def test_no_network_that_was_changed_reaches_onnxruntime(installed: Path) -> None:
    with_one_bit_turned(installed / PEOPLE_MODEL)
    with pytest.raises(PoseModelError, match="expected the network that wan-prep ships"):
        MoveNet()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_command_says_so_in_one_line(
    name: str, installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_one_bit_turned(installed / name)
    assert run(["check", *PAIR]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert str(installed / name) in err
    assert "install wan-prep again" in err


def test_a_bundle_of_ones_own_is_named_and_not_judged(installed: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.task"
    shutil.copy(installed / POSE_BUNDLE, own)
    with zipfile.ZipFile(own, "a") as bundle:
        bundle.writestr("note.txt", "another one")
    name, sha256 = identity_of(own)
    assert name == "own.task"
    assert sha256 not in SHIPPED.values()


def test_each_is_hashed_once_a_process(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    once = weights.sha256_of
    monkeypatch.setattr(weights, "sha256_of", lambda path: (read.append(path), once(path))[1])
    for name in (*SHIPPED, *SHIPPED):
        verified_model(name)
    assert read == [installed / name for name in SHIPPED]
