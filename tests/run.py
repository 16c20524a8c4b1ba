"""Lessons and tests, a few at a time: `make test`, or `python tests/run.py FILE ...` for some of them.

`--slow` runs the slow tests alone. `--record` runs them too and writes `tests/record.json`: the outcome of
each test, with its hash and that of the code that it covers. Without it nothing is written: the record is
compared with what ran.

Each runs in a process of its own, so that none meets what another left. On Linux that process is a fork of
this one, which has imported what they share: starting Python and importing pandas and scikit-learn a
hundred times would take half of the time.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

RECORD, SLOW = "--record", "--slow"
SIZES = {RECORD: "not long", SLOW: "slow"}  # of `make test-record` and `make test-slow`
SIZE = "not slow and not long"  # of `make test`
OUTCOMES = "ASSAY_OUTCOMES"  # environment variable: the folder in which each process leaves what it found
FAILED, NOTHING = 1, 5  # exit codes of pytest: a test failed, no test was chosen


def jobs(root):
    "Every test file and lesson, the long ones first; the size of a file says roughly how long"
    found = [
        sorted(root.glob(pattern), key=lambda p: -p.stat().st_size)
        for pattern in ("tests/test_*.py", "nbs/**/*.ipynb")
    ]
    return [
        p.relative_to(root).as_posix()
        for files in found
        for p in files
        if ".ipynb_checkpoints" not in p.parts
    ]


def slow_first(names):
    "The test files that hold slow tests, those with the most of them first"
    marks = {n: Path(n).read_text(encoding="utf-8").count("mark.slow") for n in names if n.endswith(".py")}
    return sorted(filter(marks.get, marks), key=lambda n: -marks[n])


def run(name):
    "Run one lesson or test file in this process; its exit code"
    from assay.core.notebooks import import_nbformat

    import_nbformat()  # before nbdev imports it as it comes
    if name.endswith(".ipynb"):
        from nbdev.test import nbdev_test

        nbdev_test.__wrapped__(path=name, n_workers=0)  # exits with 1 where a cell fails
        return 0
    import pytest

    from assay.stages.tested import Outcomes

    plugin = Outcomes()
    size = next((SIZES[a] for a in sys.argv if a in SIZES), SIZE)
    quiet = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = int(pytest.main(["-q", "-m", size, *quiet, name], plugins=[plugin]))
    leave(name, plugin.found)
    return 0 if code == NOTHING else code


def left_in(name):
    "Where a process leaves what it found in a test file"
    return Path(os.environ[OUTCOMES], name.replace("/", "_")).with_suffix(".json")


def leave(name, found):
    "Tell the process that started this one how each test ended"
    if os.environ.get(OUTCOMES):
        left_in(name).write_text(json.dumps(found), encoding="utf-8")


def preload():
    "Import what lessons and tests share"
    from assay.core.notebooks import import_nbformat

    import_nbformat()
    import hypothesis  # noqa: F401
    import nbdev.test  # noqa: F401
    import pytest  # noqa: F401

    from assay.pipeline.server import preload as stack

    stack()


def start(name):
    "The process id of a lesson or test file that runs, and the file that takes what it says"
    log = tempfile.TemporaryFile("w+", errors="replace")
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid, log
    for fd in (1, 2):
        os.dup2(log.fileno(), fd)
    if sys.platform != "linux":  # elsewhere a fork must not go on with what its parent imported
        size = [a for a in sys.argv if a in SIZES]
        os.execv(sys.executable, [sys.executable, __file__, "--one", name, *size])
    sys.exit(run(name))


def said(log):
    "What a process has said"
    log.seek(0)
    return log.read().strip()


def tell(name, code, log, done, total, began):
    "One line of progress; what a test file found; all that a failure said"
    print(
        f"{done:4d}/{total}  {time.monotonic() - began:4.0f} s  {name}{'' if code == 0 else '  FAILED'}",
        flush=True,
    )
    text = said(log)
    if code:
        print(text, flush=True)
    elif name.endswith(".py"):
        print(
            "\n".join(
                f"      {line}"
                for line in text.splitlines()
                if " passed" in line or line.startswith("SKIPPED") or " deselected" in line
            ),
            flush=True,
        )


def pin(root):
    "Start again in the environment of a stage, unless this is it: commands that tests run are forks of tests"
    from assay.pipeline.engine import is_pinned, stage_env

    if not is_pinned(root):
        os.execve(
            sys.executable, [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]], stage_env(root)
        )


def outcomes_of(name, failed):
    "Test to outcome, of one lesson or test file that ran; a file that broke before it told has failed"
    if name.endswith(".ipynb"):
        from assay.stages.tested import LESSON_LINE

        return {LESSON_LINE: "failed" if failed else "passed"}
    left = left_in(name)
    found = json.loads(left.read_text(encoding="utf-8")) if left.is_file() else {}
    return found if left.is_file() or not failed else {"": "failed"}


def contradictions(name, found, recorded):
    "One sentence for each test that ended otherwise than the record says"
    other = {test: outcome for test, outcome in found.items() if recorded.get(test, outcome) != outcome}
    return [f"{name}::{test}: {recorded[test]} in the record, {now} now" for test, now in other.items()]


def compare(found, was):
    "One sentence on how the record fits what ran now"
    from assay.stages.tested import is_present

    present = [name for name in found if name in was and is_present(name, was[name])]
    other = [line for name in present for line in contradictions(name, found[name], was[name]["outcomes"])]
    old = len(found) - len(present)
    renew = f"; {old} files changed since, or what they cover: make test-record" if old else ""
    said = f"record: {len(present)} of {len(found)} files have a line for this code{renew}"
    return "\n".join([*other, said])


def tell_record(names, failed, is_whole):
    "Write the record where that was asked for, whole or for some files; else compare it with what ran"
    from assay.stages.tested import read_record, write_record

    found = {name: outcomes_of(name, name in failed) for name in sorted(names)}
    was = read_record()
    if RECORD not in sys.argv:
        return print(compare(found, was), flush=True)
    kept = {} if is_whole else {f: line for f, line in was.items() if f not in found and Path(f).is_file()}
    print(f"written: {write_record(found, kept=kept)}", flush=True)


def run_all(names):
    "Run lessons and test files, a few at a time; those that failed"
    todo = names[::-1]
    running = {}
    failed = []
    began = time.monotonic()
    while todo or running:
        while todo and len(running) < min(os.cpu_count() or 1, 4):
            name = todo.pop()
            pid, log = start(name)
            running[pid] = name, log
        pid, status = os.wait()
        if pid in running:
            name, log = running.pop(pid)
            if code := os.waitstatus_to_exitcode(status):
                failed.append(name)
            tell(name, code, log, len(names) - len(todo) - len(running), len(names), began)
    return failed


def main(arguments):
    os.chdir(root := Path(__file__).resolve().parents[1])
    pin(root)
    asked = [a for a in arguments if a not in SIZES]
    began = time.monotonic()
    names = asked or (slow_first(jobs(root)) if SLOW in arguments else jobs(root))
    n_lessons = sum(n.endswith(".ipynb") for n in names)
    print(
        f"{n_lessons} lessons, the house checks among them, and "
        f"{len(names) - n_lessons} files of tests that cross modules",
        flush=True,
    )
    if sys.platform == "linux":
        preload()
    folder = os.environ[OUTCOMES] = tempfile.mkdtemp()  # a `with` would end in each fork, and remove it there
    failed = run_all(names)
    tell_record(names, failed, is_whole=not asked)
    shutil.rmtree(folder)
    if failed or not names:
        print(f"failed: {' '.join(failed)}" if failed else "error: no lesson and no test was found")
        return FAILED
    print(f"{len(names)} passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[2]) if sys.argv[1:2] == ["--one"] else main(sys.argv[1:]))
