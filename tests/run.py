"""Lessons and tests, a few at a time: `make test`, or `python tests/run.py FILE ...` for some of them.

Each runs in a process of its own, so that none meets what another left.
On Linux that process is a fork of this one, which has imported what they share: starting Python and importing
pandas and scikit-learn a hundred times would take half of the time.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

SIZE = ("-m", "not slow and not long")  # of `make test`
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


def run(name):
    "Run one lesson or test file in this process; its exit code"
    from assay.core.notebooks import import_nbformat

    import_nbformat()  # before nbdev imports it as it comes
    if name.endswith(".ipynb"):
        from nbdev.test import nbdev_test

        nbdev_test.__wrapped__(path=name, n_workers=0)  # exits with 1 where a cell fails
        return 0
    import pytest

    code = int(
        pytest.main(
            [
                "-q",
                *SIZE,
                "-p",
                "no:cacheprovider",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
                name,
            ]
        )
    )
    return 0 if code == NOTHING else code


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
        os.execv(sys.executable, [sys.executable, __file__, "--one", name])
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


def main(names):
    os.chdir(root := Path(__file__).resolve().parents[1])
    pin(root)
    todo, running, failed, began = names or jobs(root), {}, [], time.monotonic()
    total = len(todo)
    n_lessons = sum(n.endswith(".ipynb") for n in todo)
    print(
        f"{n_lessons} lessons, the house checks among them, and "
        f"{total - n_lessons} files of tests that cross modules",
        flush=True,
    )
    if sys.platform == "linux":
        preload()
    todo = todo[::-1]
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
            tell(name, code, log, total - len(todo) - len(running), total, began)
    if failed or not total:
        print(f"failed: {' '.join(failed)}" if failed else "error: no lesson and no test was found")
        return FAILED
    print(f"{total} passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[2]) if sys.argv[1:2] == ["--one"] else main(sys.argv[1:]))
