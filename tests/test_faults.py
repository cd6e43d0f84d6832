"""Hard failures, as whoever runs the commands meets them: processes of their own, real files.

Whatever stops a command, it says so in a line and ends with 2 or 130; nothing half stands under a
final name, nothing is left behind, and inputs stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wan_prep.errors import MediaUnreadable, SourceChanged
from wan_prep.media.files import FileState, unchanged

FIXTURES = Path(__file__).parents[1] / "fixtures"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and rights of POSIX")

# Runs a command line in which a signal arrives, or something else happens, just before the first
# call of one function; which one is named as `module:name.name`.
AT_A_MOMENT = """
import importlib, os, resource, signal, sys

def at(place, happen):
    module, _, names = place.partition(":")
    *owners, name = names.split(".")
    owner = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    called = getattr(owner, name)
    def first(*arguments, **options):
        setattr(owner, name, called)
        happen()
        return called(*arguments, **options)
    setattr(owner, name, first)

def by(number):
    return lambda: os.kill(os.getpid(), number)

def limited(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

def changed(path):
    def happen():
        with open(path, "ab") as file:
            file.write(b"more")
    return happen

# Heard even where whoever started the tests ignores them.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
place = sys.argv.pop(1)
at(place, eval(sys.argv.pop(1)))
from wan_prep.cli import main
main()
"""


@dataclass
class Place:
    """A folder with a pair, and the home of a cache that knows it, so that commands are quick."""

    folder: Path
    home: Path
    before: dict[str, str]

    @property
    def pair(self) -> list[str]:
        return ["hero.png", "dance.mp4"]

    def run(self, *arguments: str, at: tuple[str, str] | None = None, **environment: str) -> Done:
        start = ["-m", "wan_prep"] if at is None else ["-c", AT_A_MOMENT, *at]
        return self.started([sys.executable, *start, *arguments], **environment)

    def started(self, command: list[str], **environment: str) -> Done:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | {"WAN_PREP_HOME": str(self.home)} | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def must_be_as_before(self, *also: str) -> None:
        """The same files with the same content; `also` may have come."""
        now = contents(self.folder)
        assert {name: now.get(name) for name in self.before} == self.before
        assert set(now) - set(self.before) <= set(also)


Done = subprocess.CompletedProcess[str]


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def must_be_one_line(done: Done, code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("wan-prep: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "internal error" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, brief_clip: Path) -> tuple[Path, Path]:
    folder, home = tmp_path_factory.mktemp("known"), tmp_path_factory.mktemp("home")
    shutil.copy(FIXTURES / "reference.png", folder / "hero.png")
    shutil.copy(brief_clip, folder / "dance.mp4")
    (folder / "pairs.csv").write_text("image,video\nhero.png,dance.mp4\n")
    assert Place(folder, home, {}).run("check", "hero.png", "dance.mp4").returncode in (0, 1)
    return folder, home


@pytest.fixture
def place(known: tuple[Path, Path], tmp_path: Path) -> Iterator[Place]:
    folder, home = known
    mine = tmp_path / "work"
    shutil.copytree(folder, mine)
    made = Place(mine, home, contents(mine))
    yield made
    assert [p for p in home.rglob("*") if ".tmp" in p.name] == []


CHECK = ["check", "hero.png", "dance.mp4", "--html", "page.html"]
FIX = ["fix", "hero.png", "dance.mp4", "-o", "out"]
RANK = ["rank", "--images", "hero.png", "--videos", "dance.mp4", "--html", "r.html"]
BATCH = ["batch", "pairs.csv", "-o", "r.jsonl", "--workers", "1"]
BATCH_FIX = [*BATCH, "--fix", "fixed"]
SKELETON = ["inspect", "dance.mp4", "--skeleton", "sticks.mp4", "-q", "--partner", "hero.png"]
PARQUET = ["rank", "--images", "hero.png", "--videos", "dance.mp4", "--parquet", "r.parquet"]


# ---- Ctrl-C, and whoever ends processes

MOMENTS = {
    "while the command is loaded": (CHECK, "wan_prep.api:check"),
    "before anything is opened": (CHECK, "wan_prep.media.files:open_check"),
    "while a picture is read": ([*CHECK, "--no-cache"], "wan_prep.media.images:read_image"),
    "while a network is loaded": ([*CHECK, "--no-cache"], "wan_prep.pose.movenet:MoveNet"),
    "while a page is made": (CHECK, "wan_prep.visual.html:render_html"),
    "before a page has its name": (CHECK, "wan_prep.writing:os.fsync"),
    "while a pair is planned": (FIX, "wan_prep.planning.assemble:make_plan"),
    "while an image is written": (FIX, "wan_prep.normalizers.carry_out:write_still"),
    "while a clip is written": (FIX, "wan_prep.normalizers.clip:ffmpeg.run"),
    "while a pair gets its names": (FIX, "wan_prep.normalizers.write:_FolderTransaction.put"),
    "before a pair is complete": (FIX, "wan_prep.normalizers.write:_FolderTransaction.end"),
    "while a ranking is searched": (RANK, "wan_prep.ranking.assemble:build_ranking"),
    "before a sheet has its name": (RANK, "wan_prep.writing:os.fsync"),
    "before a table has its name": (PARQUET, "wan_prep.writing:os.fsync"),
    "while a skeleton is drawn": (SKELETON, "wan_prep.normalizers.drawn:verify_video"),
    "before a row is kept": (BATCH, "wan_prep.pipelines.results:Results.add"),
    "before results have their name": (BATCH, "wan_prep.pipelines.results:Results.finish"),
    "while the cache is verified": (["cache", "verify"], "wan_prep.cache.store:state_of"),
    "while the cache is told of": (["cache", "info"], "wan_prep.cache.store:Cache.info"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_at_any_moment(moment: str, place: Place) -> None:
    """By Ctrl-C and by SIGTERM in turn, so that each kind of moment meets both."""
    arguments, where = MOMENTS[moment]
    number = "SIGINT" if list(MOMENTS).index(moment) % 2 else "SIGTERM"
    done = place.run(*arguments, at=(where, f"by(signal.{number})"))
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert done.stderr.splitlines()[-1] == "wan-prep: interrupted"
    place.must_be_as_before("r.jsonl.part")
    assert not (place.folder / "out").exists()


@pytest.mark.model
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_each_signal_ends_it_in_the_same_way(number: str, place: Place) -> None:
    done = place.run(*CHECK, at=("wan_prep.writing:os.fsync", f"by(signal.{number})"))
    must_be_one_line(done, 130, "interrupted")
    place.must_be_as_before()


@pytest.mark.model
def test_another_sigterm_does_not_interrupt_what_is_put_away(place: Place) -> None:
    twice = "lambda: (at('pathlib:Path.unlink', by(signal.SIGTERM)), by(signal.SIGTERM)())"
    done = place.run(*CHECK, at=("wan_prep.writing:os.fsync", twice))
    must_be_one_line(done, 130, "interrupted")
    place.must_be_as_before()


@pytest.mark.model
def test_what_nohup_ignores_stays_ignored(place: Place) -> None:
    ignoring = "lambda: by(signal.SIGHUP)()"
    script = AT_A_MOMENT.replace("signal.signal(number, signal.SIG_DFL)", "pass")
    command = [sys.executable, "-c", script, "wan_prep.api:check", ignoring, "check", *place.pair]
    done = place.started(["nohup", *command])
    assert done.returncode in (0, 1)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_batch_that_was_stopped_goes_on(number: str, place: Place) -> None:
    finish = ("wan_prep.pipelines.results:Results.finish", f"by(signal.{number})")
    stopped = place.run(*BATCH_FIX, at=finish)
    assert (stopped.returncode, stopped.stdout) == (130, "")
    assert "what is done is kept, and the same command goes on" in stopped.stderr
    assert not (place.folder / "r.jsonl").exists()
    assert not list(place.folder.glob(".*.lock"))
    done = place.run(*BATCH_FIX, "--format", "json")
    assert done.returncode in (0, 1), done.stderr
    assert '"known": 1' in done.stdout
    (made,) = (place.folder / "fixed").iterdir()
    assert not [p for p in made.iterdir() if p.name.startswith(".")]
    place.must_be_as_before("r.jsonl", *(str(p.relative_to(place.folder)) for p in made.iterdir()))


# ---- no space

FULL = {
    "a page": (CHECK, "wan_prep.visual.html:render_html", "cannot write this page"),
    "a sheet": (RANK, "wan_prep.visual.contact_sheet:sheet_pictures", "cannot write this page"),
    "a table": (PARQUET, "wan_prep.ranking.model:Ranking.to_parquet", "cannot write this file"),
    "a pair": (FIX, "wan_prep.normalizers.carry_out:write_still", "could not be written"),
    "a skeleton": (SKELETON, "wan_prep.normalizers.drawn:ffmpeg.run", "ffmpeg"),
    "results": (BATCH, "wan_prep.pipelines.results:Results.add", "r.jsonl"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize("what", FULL)
def test_a_file_that_cannot_grow(what: str, place: Place) -> None:
    """A limit of size ends a write as a full disk does, and needs no disk of one's own."""
    arguments, where, words = FULL[what]
    done = place.run(*arguments, at=(where, "limited(20)"))
    must_be_one_line(done, 2, words)
    place.must_be_as_before("r.jsonl.part")
    assert not (place.folder / "out").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a small disk; limits of size stand in for it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "hero.png", "dance.mp4", "--html", "{}/page.html"],
        ["fix", "hero.png", "dance.mp4", "-o", "{}/out"],
        ["inspect", "dance.mp4", "--skeleton", "{}/s.mp4", "--partner", "hero.png", "-q"],
        ["rank", "--images", "hero.png", "--videos", "dance.mp4", "--html", "{}/r.html"],
        ["batch", "pairs.csv", "-o", "{}/r.jsonl", "--workers", "1"],
    ],
    ids=["check", "fix", "inspect", "rank", "batch"],
)
def test_a_disk_that_is_full(arguments: list[str], small_disk: Path, place: Place) -> None:
    (small_disk / "filler").write_bytes(bytes(small_disk_free(small_disk)))
    filled = contents(small_disk)
    done = place.run(*(each.format(small_disk) for each in arguments))
    must_be_one_line(done, 2)
    place.must_be_as_before()
    assert contents(small_disk) == filled


def small_disk_free(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


@pytest.mark.model
@pytest.mark.parametrize("options", [[], ["--format", "json"], ["-q"]], ids=["text", "json", "q"])
def test_an_answer_that_finds_no_room(options: list[str], place: Place) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
        done = subprocess.run(
            [sys.executable, "-m", "wan_prep", "check", *place.pair, *options],
            cwd=place.folder,
            env=os.environ | {"WAN_PREP_HOME": str(place.home)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("wan-prep: ")
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


# ---- no permission


@pytest.fixture
def unprivileged() -> list[str]:
    """What to put before a command so that rights count for it, whoever runs the tests."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root may do everything here, and there is no setpriv to give that up")
    without = "-dac_override,-dac_read_search,-fowner"
    return [setpriv, f"--bounding-set={without}", f"--inh-caps={without}"]


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "hero.png", "dance.mp4", "--html", "shut/page.html"], "shut/page.html"),
        (["fix", "hero.png", "dance.mp4", "-o", "shut"], "shut"),
        (["fix", "hero.png", "dance.mp4", "-o", "shut/out"], "shut"),
        (["rank", "--images", "hero.png", "--videos", "dance.mp4", "--parquet", "shut/r.parquet"],
         "shut/r.parquet"),
        (["inspect", "dance.mp4", "--skeleton", "shut/s.mp4", "--partner", "hero.png", "-q"],
         "shut/s.mp4"),
        (["batch", "pairs.csv", "-o", "shut/r.jsonl"], "shut/r.jsonl"),
        (["check", "secret.png", "dance.mp4"], "no permission to read secret.png"),
        (["inspect", "shut-away/hero.png"], "no permission to read shut-away/hero.png"),
        (["batch", "secret.csv", "-o", "r.jsonl"], "secret.csv"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value[0],
)  # fmt: skip
def test_what_may_not_be_read_or_written(
    arguments: list[str], words: str, unprivileged: list[str], place: Place
) -> None:
    shut, away = place.folder / "shut", place.folder / "shut-away"
    shut.mkdir(mode=0o500)
    away.mkdir()
    shutil.copy(place.folder / "hero.png", place.folder / "secret.png")
    shutil.copy(place.folder / "pairs.csv", place.folder / "secret.csv")
    for secret in ("secret.png", "secret.csv"):
        (place.folder / secret).chmod(0)
    away.chmod(0)
    command = [*unprivileged, sys.executable, "-m", "wan_prep", *arguments]
    done = place.started(command)
    must_be_one_line(done, 2, words, "ermission")
    assert list(shut.iterdir()) == []
    away.chmod(0o700)
    place.must_be_as_before("secret.png", "secret.csv")


@pytest.mark.model
def test_a_home_that_may_not_be_written_costs_the_cache_alone(
    unprivileged: list[str], place: Place, tmp_path: Path
) -> None:
    home = tmp_path / "read-only"
    home.mkdir(mode=0o500)
    command = [*unprivileged, sys.executable, "-m", "wan_prep", "check", *place.pair, "-q"]
    done = place.started(command, WAN_PREP_HOME=str(home))
    assert done.returncode in (0, 1)
    assert done.stderr.count("\n") == 1
    assert "Permission denied" in done.stderr
    assert list(home.iterdir()) == []


# ---- ffmpeg


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize("arguments", [FIX, SKELETON], ids=["fix", "skeleton"])
@pytest.mark.parametrize("how", ["missing", "not a program", "killed"])
def test_an_ffmpeg_that_fails(how: str, arguments: list[str], place: Place, tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    if how != "missing":
        dies = '#!/bin/sh\n[ "$1" = -version ] && echo ffmpeg && exit\nkill -KILL $$\n'
        program.write_text(dies if how == "killed" else "no program")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    done = place.run(*arguments, WAN_PREP_FFMPEG=str(program))
    must_be_one_line(done, 2, "signal 9" if how == "killed" else "WAN_PREP_FFMPEG")
    place.must_be_as_before()
    assert not (place.folder / "out").exists()


# ---- two at once


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize(
    ("arguments", "where", "code", "words"),
    [
        (FIX, "wan_prep.normalizers.carry_out:write_still", "2", "another run is writing into out"),
        ([*FIX, "--overwrite"], "wan_prep.normalizers.write:_FolderTransaction.put", "2",
         "another run is writing into out"),
        (BATCH, "wan_prep.pipelines.results:Results.add", "2", "another batch is writing"),
        (CHECK, "wan_prep.writing:os.fsync", "0", ""),
        (SKELETON, "wan_prep.writing:os.fsync", "0", ""),
    ],
    ids=["fix", "fix over", "batch", "page", "skeleton"],
)  # fmt: skip
def test_two_processes_and_one_output(
    arguments: list[str], where: str, code: str, words: str, place: Place, tmp_path: Path
) -> None:
    """The second runs from begin to end in the middle of the first."""
    said = tmp_path / "said"
    script = f"{shlex.join([sys.executable, '-m', 'wan_prep', *arguments])} > {said} 2>&1"
    second = f"lambda: os.system({f'{script}; echo $? >> {said}'!r})"
    done = place.run(*arguments, at=(where, second))
    assert (done.returncode, done.stderr) == (0, "")
    *lines, ended = said.read_text().splitlines()
    assert ended == code
    assert words in "".join(lines)
    made = {"fix": "out/plan.json", "batch": "r.jsonl", "check": "page.html"}
    target = place.folder / made.get(arguments[0], "sticks.mp4")
    assert target.stat().st_size > 0
    left = [path.name for path in place.folder.rglob(".*")]
    assert left == []


# ---- a source that changes while it is read


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    def grow(path: Path) -> None:
        path.write_bytes(path.read_bytes() + b"more")

    def exchange(path: Path) -> None:
        path.with_name("other").write_bytes(b"abcd")
        path.with_name("other").replace(path)

    def rewrite(path: Path) -> None:
        path.write_bytes(b"wxyz")
        os.utime(path, ns=(0, FileState.of(path).identity[3] + 1))  # type: ignore[index]

    for change in (grow, exchange, rewrite, Path.unlink):
        path = tmp_path / "clip.mp4"
        path.write_bytes(b"abcd")
        with pytest.raises(SourceChanged, match="changed meanwhile"), unchanged(FileState.of(path)):
            change(path)
        path.write_bytes(b"abcd")

        def fail(path: Path = path, change: Callable[[Path], object] = change) -> None:
            with unchanged(FileState.of(path)):
                change(path)
                raise MediaUnreadable("corrupt", "half of it is another clip")

        with pytest.raises(SourceChanged):
            fail()
    path.write_bytes(b"abcd")
    with pytest.raises(MediaUnreadable), unchanged(FileState.of(path)):
        raise MediaUnreadable("corrupt", "it is what it was")


UNKNOWN = ["check", "hero.png", "dance.mp4", "--no-cache"]
CHANGES = {
    "between hash and decode, image": (
        UNKNOWN, "wan_prep.observing:read_image", "hero.png",
    ),
    "between hash and decode, video": (
        UNKNOWN, "wan_prep.observing:decode", "dance.mp4",
    ),
    "at single times": (
        ["inspect", "dance.mp4", "--at", "0,0.2"], "wan_prep.observing:each_frame_at", "dance.mp4",
    ),
    "between plan and fix": (FIX, "wan_prep.normalizers.carry_out:prepare", "dance.mp4"),
    "while fix writes": (FIX, "wan_prep.normalizers.clip:ffmpeg.run", "dance.mp4"),
    "while fix copies": (FIX, "wan_prep.normalizers.carry_out:write_still", "hero.png"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize("when", CHANGES)
def test_a_source_that_changes_is_an_error_and_no_finding(when: str, place: Place) -> None:
    arguments, where, path = CHANGES[when]
    done = place.run(*arguments, at=(where, f"changed({path!r})"))
    must_be_one_line(done, 2, path)
    assert not (place.folder / "out").exists()
    del place.before[path]
    place.must_be_as_before(path)
