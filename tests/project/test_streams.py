"""With closed standard streams, readers that exit, or full disks, programs finish their work."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.makers import encoded, metu_like, picture, write_folder, write_zip
from tests.support.project import BIN, ROOT, Project, new_project

LIMIT = 60  # seconds after which a test counts as stuck
PYTHON = sys.executable
KINDS = {  # shell redirections
    "stdin closed": "<&-",
    "stdout closed": ">&-",
    "stderr closed": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "nobody reads stdout": "| true",
    "nobody reads stderr": "2>&1 >/dev/null | true",
    "nobody reads either": "2>&1 | true",
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")


def environment(root: Path) -> dict[str, str]:
    """Environment variables for this environment's programs and the code below `root`."""
    ours = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(root)}
    rest = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return rest | ours | {"OMP_NUM_THREADS": "1"}  # buffered output: more to flush at the end


def code_of(folder: Path, command: str, kind: str = "") -> tuple[int, str]:
    """(exit code of a command with these redirections, what it could still print)."""
    file = folder / "code.tmp"
    done = subprocess.run(
        ["bash", "-c", f"{{ {command}; echo $? >{file}; }} {kind}"],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    code = int(file.read_text())
    file.unlink()
    return code, done.stdout


def files(*folders: Path) -> dict[Path, bytes]:
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with twelve photos; nothing has run yet."""
    project = new_project(tmp_path_factory.mktemp("few") / "project", raw="few.zip")
    write_zip(project.root / "few.zip", metu_like(6))
    with (project.root / ".gitignore").open("a", encoding="utf-8") as ignored:
        ignored.write("/few.zip\n")
    return project


@pytest.fixture
def root(few: Project, tmp_path: Path) -> Path:
    return few.copy(tmp_path / "project").root


@each_kind
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("check", 0),
        ("--help", 0),
        ("inspect --help", 0),
        ("--version", 0),
        ("nonsense", 2),
        ("download metu --url http://127.0.0.1:9/nothing.zip --to raw", 1),
    ],
)
def test_the_exit_code_does_not_depend_on_the_streams(
    few: Project, command: str, code: int, kind: str
) -> None:
    got, text = code_of(few.root, f"surface-crack {command}", kind)
    assert got == code
    assert "Exception" not in text
    assert "Traceback" not in text


def made_by_prepare(root: Path) -> dict[Path, bytes]:
    folders = [root / name for name in ("data", "metrics", "plots")]
    made = files(*folders)
    for path in made:
        path.unlink()
    return made


@each_kind
def test_a_stage_writes_the_same_files(root: Path, kind: str) -> None:
    code, text = code_of(root, "python -m stages.prepare")
    assert (code, text) == (0, "prepare: 12 photos, 0 rejected, see data/prepared/rejected.csv\n")
    plain = made_by_prepare(root)
    assert len(plain) >= 8
    code, text = code_of(root, "python -m stages.prepare", kind)
    assert code == 0
    assert text in ("", "prepare: 12 photos, 0 rejected, see data/prepared/rejected.csv\n")
    assert made_by_prepare(root) == plain


@pytest.mark.parametrize("kind", [KINDS[kind] for kind in ("all closed", "nobody reads either")])
def test_reports_are_the_same(root: Path, kind: str) -> None:
    """For `inspect`, which logs a lot, and `validate`, which prints its report."""
    pytest.importorskip("torch")
    from tests.support.networks import random_cracknet, save_network

    (root / "models").mkdir()
    save_network(root / "models", random_cracknet())
    (root / "wall.jpg").write_bytes(encoded(picture(0, side=300, crack=True)))
    write_folder(root / "site", metu_like(6, start=9))
    inspect, validate = "surface-crack inspect wall.jpg --out", "surface-crack validate site --out"
    for command in (inspect, validate):
        assert code_of(root, f"{command} plain")[0] == 0
        assert code_of(root, f"{command} other", kind) == (0, "")
        plain, other = files(root / "plain"), files(root / "other")
        assert {path.relative_to(root / "plain") for path in plain} == {
            path.relative_to(root / "other") for path in other
        }
        for path, content in plain.items():
            if path.name != "times.csv":
                same = other[root / "other" / path.relative_to(root / "plain")]
                assert same == content, path
        for name in ("plain", "other"):
            (root / name).rename(root / f"{name} of {command.split()[1]}")


def test_child_processes_have_streams(root: Path) -> None:
    """`verify` runs `dvc`."""
    project = Project(root)
    project.dvc("repro", "prepare")
    (root / "metrics/data.json").unlink()  # not cached
    assert code_of(root, "surface-crack verify", "<&- >&- 2>&-")[0] == 0
    (root / "metrics/data.json").write_text("{}")
    assert code_of(root, "surface-crack verify", "<&- >&- 2>&-")[0] == 1


LOUD = """
import logging, sys
from surface_crack.project.console import run
from surface_crack.project.streams import protect_streams
def main():
    for number in range(20_000):
        print(f"{number} on standard output")
        if number % 100 == 0:
            logging.info("%d on standard error", number)
    open("done", "w").close()
protect_streams()
run("loud", main)
"""
BAR = """
import time
from tqdm import tqdm
from surface_crack.project.console import run
def main():
    for _ in tqdm(range(300), mininterval=0):
        time.sleep(0.002)
    open("done", "w").close()
run("bar", main)
"""


def script(folder: Path, text: str, *options: str) -> str:
    (folder / "script.py").write_text(text)
    return " ".join([PYTHON, *options, "script.py"])


@pytest.mark.parametrize("options", [(), ("-u",), ("-X", "dev", "-W", "error")])
@pytest.mark.parametrize(
    "reader", ["| head -n 3", "2>&1 | head -n 3", "2>&1 >/dev/null | head -n 3"]
)
def test_a_reader_may_exit_early(tmp_path: Path, reader: str, options: tuple[str, ...]) -> None:
    (tmp_path / "surface_crack").symlink_to(ROOT / "surface_crack")
    code, text = code_of(tmp_path, script(tmp_path, LOUD, *options), reader)
    assert code == 0
    assert (tmp_path / "done").exists()
    assert "Error" not in text


def test_the_reader_of_a_progress_bar_may_be_killed(tmp_path: Path) -> None:
    (tmp_path / "surface_crack").symlink_to(ROOT / "surface_crack")
    code, _ = code_of(tmp_path, script(tmp_path, BAR), "2>&1 | head -c 300")
    assert code == 0
    assert (tmp_path / "done").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no such terminals")
def test_a_terminal_may_be_closed(root: Path) -> None:
    """While a program runs on in the background."""
    import pty
    import termios

    project = Project(root)
    project.set(sample_photos=600)
    terminal, program = pty.openpty()
    termios.tcsetwinsize(program, (24, 80))  # wide enough for a progress bar
    with subprocess.Popen(
        [PYTHON, "-m", "stages.sample"],
        cwd=root,
        env=environment(root),
        stdin=subprocess.DEVNULL,
        stdout=program,
        stderr=program,
        start_new_session=True,
    ) as process:
        os.close(program)
        text = b""
        while b"photo/s" not in text:
            text += os.read(terminal, 1000)
        os.close(terminal)
        assert process.wait(LIMIT) == 0
    sample = files(root / "data/sample")
    project.run("python", "-m", "stages.sample")
    assert files(root / "data/sample") == sample


@full
def test_a_full_disk_is_a_one_line_error(root: Path) -> None:
    code, text = code_of(root, "surface-crack --help", ">/dev/full")
    assert code == 1
    assert text == (
        "surface-crack: error: standard output: No space left on device: free some disk space, "
        "then run the command again\n"
    )
    code, text = code_of(root, "surface-crack nonsense", ">/dev/full")
    assert code == 2
    assert text.count("error") == 1


@full
def test_a_full_disk_for_messages_does_not_stop_the_work(root: Path) -> None:
    """The error cannot be printed, but the exit code is 1."""
    assert code_of(root, "python -m stages.prepare")[0] == 0
    plain = made_by_prepare(root)
    assert code_of(root, "python -m stages.prepare", "2>/dev/full") == (1, "")
    assert made_by_prepare(root) == plain


def exit_code(prepare: Callable[[], None], stderr: int | None = None) -> int:
    """The exit code of `exit_now(SIGTERM)` in a process, after calling `prepare` there."""
    code = "from surface_crack.project.signals import exit_now; exit_now(15)"
    done = subprocess.run(
        [PYTHON, "-c", code],
        cwd=ROOT,
        stderr=stderr,
        preexec_fn=prepare,
        timeout=LIMIT,
        check=False,
    )
    return done.returncode


def test_exit_now_ends_the_process_even_if_its_line_cannot_be_written() -> None:
    assert exit_code(lambda: os.close(2)) == 128 + signal.SIGTERM
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:  # fill the pipe: its reader exists but does not read
        try:
            os.write(writer, bytes(4096))
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    assert exit_code(lambda: None, writer) == 128 + signal.SIGTERM
    os.close(reader)
    assert exit_code(lambda: None, writer) == 128 + signal.SIGTERM
    os.close(writer)


def test_a_signal_ends_a_stage_whose_streams_are_closed(root: Path) -> None:
    Project(root).set(sample_photos=100_000)
    command = 'python -m stages.sample & until [ -e "$1" ]; do sleep 0.05; done; kill $!; wait $!'
    command = command.replace('"$1"', "data/sample/.synthetic.zip.tmp")
    assert code_of(root, command, "<&- >&- 2>&-") == (128 + signal.SIGTERM, "")


def test_no_other_file_gets_the_descriptor_of_a_closed_stream(tmp_path: Path) -> None:
    (tmp_path / "surface_crack").symlink_to(ROOT / "surface_crack")
    text = """
import os, subprocess, sys
from surface_crack.project.streams import protect_streams
protect_streams()
file = open("mine", "w")
assert file.fileno() > 2
print("to nobody")
print("to nobody", file=sys.stderr)
os.write(1, b"to nobody")
os.write(2, b"to nobody")
assert sys.stdin.read() == ""
protect_streams()  # calling it twice is harmless
child = "import os, sys; assert sys.stdin.read() == ''; print(1); os.write(2, b'2')"
subprocess.run([sys.executable, "-c", child], check=True)
"""
    assert code_of(tmp_path, script(tmp_path, text), "<&- >&- 2>&-") == (0, "")
    assert (tmp_path / "mine").read_text() == ""


def test_streams_that_python_did_not_create(tmp_path: Path) -> None:
    """As in pythonw on Windows: all three are None."""
    (tmp_path / "surface_crack").symlink_to(ROOT / "surface_crack")
    text = """
import sys
sys.stdin = sys.stdout = sys.stderr = None
from surface_crack import cli
cli.run_command = lambda: sys.stdout.write("to nobody")
cli.main()
"""
    for kind in ("", "<&- >&- 2>&-"):
        assert code_of(tmp_path, script(tmp_path, text), kind)[0] == 0


def test_characters_that_the_encoding_lacks_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "surface_crack").symlink_to(ROOT / "surface_crack")
    text = """
import sys
from surface_crack import cli
cli.run_command = lambda: print(chr(0xE4))
cli.main()
"""
    command = f"PYTHONIOENCODING=ascii {script(tmp_path, text)}"
    assert code_of(tmp_path, command) == (0, "\\xe4\n")


@pytest.mark.slow
def test_child_trainings_have_streams(project: Project) -> None:
    plain, other = "surface-crack audit --folds 2 --out plain", "surface-crack audit --folds 2"
    assert code_of(project.root, plain)[0] == 0
    assert code_of(project.root, f"{other} --out other", "<&- >&- 2>&-")[0] == 0
    for path, content in files(project.root / "plain").items():
        assert (project.root / "other" / path.name).read_bytes() == content
