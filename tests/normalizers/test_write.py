from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wan_prep.errors import InputPathError, NormalizeFailed, OutputExists, WanPrepError
from wan_prep.media.files import sha256_of
from wan_prep.normalizers.write import PreparedFolder, published_plan, refuse_sources
from wan_prep.planning.model import Plan


@pytest.fixture
def plan(a_plan: Callable[..., Plan]) -> Plan:
    return a_plan()


def prepared(
    folder: Path, *, overwrite: bool = False, image: str = "reference.png", content: str = "new"
) -> PreparedFolder:
    """A picture and a clip, aside."""
    made = PreparedFolder(folder, overwrite=overwrite)
    try:
        made.image = made.aside(image)
        made.videos = (made.aside("driving.mp4"),)
        made.image.write_text(f"{content} picture")
        made.videos[0].write_text(f"{content} clip")
    except BaseException:
        made.discard()
        raise
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_files_appear_together_and_are_listed(tmp_path: Path, plan: Plan) -> None:
    with prepared(tmp_path) as made:
        assert {name[:10] for name in names(tmp_path)} == {".wan-prep-", ".wan-prep."}
        made.aside("report.json").write_text("{}")
        written = made.publish(plan)
    assert names(tmp_path) == ["driving.mp4", "plan.json", "reference.png", "report.json"]
    assert written.image == tmp_path / "reference.png"
    assert written.videos == (tmp_path / "driving.mp4",)
    assert written.image.read_text() == "new picture"
    assert written.plan == published_plan(tmp_path)
    assert written.plan.published is not None
    assert {file.name: file.sha256 for file in written.plan.published.files} == {
        path.name: sha256_of(path) for path in tmp_path.iterdir() if path.name != "plan.json"
    }


def test_what_is_not_published_is_gone(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), prepared(tmp_path):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_folder_made_for_nothing_goes_too(tmp_path: Path, plan: Plan) -> None:
    prepared(tmp_path / "new" / "out").discard()
    assert not (tmp_path / "new" / "out").exists()
    with prepared(tmp_path / "out") as made:
        made.publish(plan)
    assert names(tmp_path / "out") == ["driving.mp4", "plan.json", "reference.png"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "driving.mp4").write_bytes(b"mine")
    with pytest.raises(OutputExists, match=r"expected no driving\.mp4 .*--overwrite"):
        prepared(tmp_path)
    assert (tmp_path / "driving.mp4").read_bytes() == b"mine"


def test_a_link_that_leads_nowhere_is_something_too(tmp_path: Path) -> None:
    (tmp_path / "reference.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(OutputExists):
        prepared(tmp_path)


def test_a_file_that_came_meanwhile_stays(tmp_path: Path, plan: Plan) -> None:
    with prepared(tmp_path) as made:
        (tmp_path / "driving.mp4").write_bytes(b"theirs")
        with pytest.raises(OutputExists, match=r"driving\.mp4 came to be while"):
            made.publish(plan)
    assert (tmp_path / "driving.mp4").read_bytes() == b"theirs"
    assert names(tmp_path) == ["driving.mp4"]


@pytest.mark.parametrize(
    "name",
    ["../elsewhere.png", "/elsewhere.png", "", ".", "..", "driving.mp4", "plan.json", "notes.txt"],
)
def test_names_are_plain_and_differ(tmp_path: Path, name: str) -> None:
    with (
        prepared(tmp_path) as made,
        pytest.raises(NormalizeFailed, match="a file name of its own"),
    ):
        made.aside(name)


def test_files_are_replaced_where_asked(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "driving.mp4").write_bytes(b"old")
    with prepared(tmp_path, overwrite=True) as made:
        assert (tmp_path / "driving.mp4").read_bytes() == b"old"
        made.publish(plan)
    assert (tmp_path / "driving.mp4").read_text() == "new clip"


def test_a_name_taken_by_a_folder_is_said(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "driving.mp4").mkdir()
    with (
        pytest.raises(NormalizeFailed, match=r"driving\.mp4 is a folder"),
        prepared(tmp_path, overwrite=True) as made,
    ):
        made.publish(plan)


def test_a_file_system_without_links_will_do(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with prepared(tmp_path) as made:
        made.publish(plan)
    assert names(tmp_path) == ["driving.mp4", "plan.json", "reference.png"]
    with prepared(tmp_path / "again") as made:
        (tmp_path / "again" / "driving.mp4").write_bytes(b"theirs")
        with pytest.raises(OutputExists):
            made.publish(plan)
    assert (tmp_path / "again" / "driving.mp4").read_bytes() == b"theirs"


@pytest.mark.parametrize("folder", ["file.txt", "file.txt/out"])
def test_a_folder_that_cannot_be_is_said(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file.txt").write_text("no folder")
    with pytest.raises(NormalizeFailed, match="expected a folder to write into"):
        PreparedFolder(tmp_path / folder, overwrite=False)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(NormalizeFailed, match="Permission denied"):
        PreparedFolder(tmp_path, overwrite=False)


# ---- an earlier pair in the same folder


@pytest.fixture
def parts(tmp_path: Path, plan: Plan) -> Path:
    """A folder with an earlier pair: a JPEG and a clip in two parts."""
    with PreparedFolder(tmp_path, overwrite=False) as made:
        for name in ("reference.jpg", "driving-01.mp4", "driving-02.mp4", "report-02.json"):
            made.aside(name).write_text(f"old {name}")
        made.publish(plan)
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def test_what_the_new_plan_does_not_write_goes(parts: Path, plan: Plan) -> None:
    with prepared(parts, overwrite=True) as made:
        made.publish(plan)
    assert names(parts) == ["driving.mp4", "notes.txt", "plan.json", "reference.png"]
    published_plan(parts)


def test_a_failure_half_way_gives_the_old_pair_back(
    parts: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(parts)

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with prepared(parts, overwrite=True) as made:
        monkeypatch.setattr(Path, "hardlink_to", full)
        monkeypatch.setattr(Path, "rename", rename_but("driving.mp4"))
        with pytest.raises(NormalizeFailed, match="No space left"):
            made.publish(plan)
    assert contents(parts) == before
    published_plan(parts)


def rename_but(name: str) -> Callable[[Path, Path], Path]:
    """`Path.rename`, which has no space for one name."""
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if self.name == name:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    return refusing


@pytest.mark.parametrize("name", ["driving-01.mp4", "driving-07.mp4"])
def test_a_file_of_ones_own_under_such_a_name_is_not_removed(
    parts: Path, plan: Plan, name: str
) -> None:
    (parts / name).write_text("mine")
    before = contents(parts)
    with (
        prepared(parts, overwrite=True) as made,
        pytest.raises(OutputExists, match=rf"{name} is not part of the new pair"),
    ):
        made.publish(plan)
    assert contents(parts) == before


# Forks once for each change of the folder, ends the child by SIGKILL just before that change, and
# says when there are no more.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from wan_prep.normalizers.write import PreparedFolder
from wan_prep.planning.model import Plan

plan = Plan.load(sys.argv[1])
template, places = Path(sys.argv[2]), Path(sys.argv[3])

def publish(folder, killed_before):
    changes = 0

    def counted(operation):
        def run(*arguments, **options):
            nonlocal changes
            if changes == killed_before:
                os.kill(os.getpid(), signal.SIGKILL)
            changes += 1
            return operation(*arguments, **options)
        return run

    with PreparedFolder(folder, overwrite=True) as made:
        made.image = made.aside("reference.jpg")
        made.videos = (made.aside("driving.mp4"),)
        made.image.write_text("new picture")
        made.videos[0].write_text("new clip")
        for name in ("mkdir", "rename", "replace", "hardlink_to", "unlink"):
            setattr(Path, name, counted(getattr(Path, name)))
        made.publish(plan)

for killed_before in range(100):
    folder = places / f"{killed_before:02d}"
    shutil.copytree(template, folder)
    child = os.fork()
    if child == 0:
        publish(folder, killed_before)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        break
print(killed_before, os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_run_killed_at_any_moment_leaves_the_old_or_the_new_pair_or_says_so(
    parts: Path, plan: Plan, tmp_path_factory: pytest.TempPathFactory
) -> None:
    places = tmp_path_factory.mktemp("killed")
    saved = places / "saved.json"
    saved.write_text(plan.public_json(), "utf-8")
    script = [sys.executable, "-c", KILLED, str(saved), str(parts), str(places)]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    kills, exit_code = map(int, done.stdout.split())
    assert (kills > 10, exit_code) == (True, 0)
    old, new = contents_of_pair(parts), {"reference.jpg": "new picture", "driving.mp4": "new clip"}
    seen = []
    for folder in sorted(path for path in places.iterdir() if path.is_dir()):
        seen.append(state_of(folder, old, new))
        with prepared(folder, overwrite=True, content="last") as made:
            made.publish(plan)
        assert contents_of_pair(folder) == {
            "reference.png": "last picture",
            "driving.mp4": "last clip",
        }
        published_plan(folder)
    assert [state for k, state in enumerate(seen) if seen[k - 1 : k] != [state]] == [
        "old",
        "incomplete",
        "new",
    ]


def state_of(folder: Path, old: dict[str, str], new: dict[str, str]) -> str:
    plan = Plan.load(folder / "plan.json")
    assert plan.published is not None
    if not plan.published.complete:
        with pytest.raises(InputPathError, match="is incomplete"):
            published_plan(folder)
        return "incomplete"
    published_plan(folder)
    found = contents_of_pair(folder)
    assert found in (old, new)
    return "old" if found == old else "new"


def contents_of_pair(folder: Path) -> dict[str, str]:
    return {
        path.name: path.read_text()
        for path in folder.iterdir()
        if path.is_file() and path.suffix in (".png", ".jpg", ".mp4")
    }


# ---- two runs, and runs that were killed


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path: Path, plan: Plan) -> None:
    with prepared(tmp_path) as made:
        with pytest.raises(NormalizeFailed, match="another run is writing into"):
            prepared(tmp_path, overwrite=True)
        made.publish(plan)
    with prepared(tmp_path, overwrite=True) as made:
        made.publish(plan)


def test_the_scratch_folder_of_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    """Whatever its process is called where it runs: another container has other numbers."""
    other = (
        "import sys; from pathlib import Path\n"
        "from wan_prep.normalizers.write import PreparedFolder\n"
        "with PreparedFolder(Path(sys.argv[1]), overwrite=False) as made:\n"
        "    made.aside('driving.mp4').write_text('half')\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", other, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        before = names(tmp_path)
        with pytest.raises(NormalizeFailed, match="another run"):
            prepared(tmp_path)
        assert names(tmp_path) == before
        process.communicate("")
    assert names(tmp_path) == []


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".wan-prep-left"
    left.mkdir()
    (left / "driving.mp4").write_bytes(b"half")
    (tmp_path / ".wan-prep.lock").touch()
    prepared(tmp_path).discard()
    assert names(tmp_path) == []


# ---- sources


@pytest.mark.parametrize("how", ["itself", "symbolic link", "hard link"])
def test_a_source_is_never_in_the_place_of_an_output(tmp_path: Path, how: str) -> None:
    source = tmp_path / "source.mp4"
    source.write_bytes(b"clip")
    folder = tmp_path / "out"
    folder.mkdir()
    output = folder / "driving.mp4"
    if how == "itself":
        source = source.rename(output)
    elif how == "hard link":
        output.hardlink_to(source)
    else:
        output.symlink_to(source)
    with pytest.raises(InputPathError, match=r"replaced by the driving\.mp4 that fix writes"):
        refuse_sources(folder, [tmp_path / "hero.png", source])


def test_sources_beside_the_pair_are_no_outputs(tmp_path: Path) -> None:
    source = tmp_path / "dance.mp4"
    source.write_bytes(b"clip")
    (tmp_path / "driving.mp4").write_bytes(b"clip")
    refuse_sources(tmp_path, [source])
    refuse_sources(tmp_path / "new", [source])


def test_an_unreadable_plan_lists_nothing(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(WanPrepError, match="not a plan"):
        published_plan(tmp_path)
    with prepared(tmp_path, overwrite=True) as made:
        made.publish(plan)
    published_plan(tmp_path)
