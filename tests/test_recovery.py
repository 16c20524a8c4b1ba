"A run that was killed, a file that was damaged, two runs at once: `assay repro` needs no human"

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small import CELLS, add_agreement, assay, hashes, make_repo, run, write_notebook
from tiny import commit

KILLS, SAMPLE = 30, 6
RAW_KILLS = 6


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    "A small repository that has run, its hashes, and how long the run took"
    repo = make_repo(tmp_path_factory.mktemp("recovery") / "repo")
    start = time.monotonic()
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stdout + done.stderr
    return repo, hashes(repo), time.monotonic() - start


def forget(repo):
    "Back to a clone in which nothing has run"
    for name in ("data", "reports", ".assay", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(repo / name, ignore_errors=True)
    (repo / "dvc.lock").unlink(missing_ok=True)


def dvc_of(pid):
    "Process ids that run dvc: `pid`, or what it started"
    listed = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True
    ).stdout.splitlines()[1:]
    return [
        int(row.split()[0])
        for row in listed
        if pid in map(int, row.split()[:2]) and re.search(r"[ .]dvc ", row)
    ]


def next_write(p, path):
    "Wait until DVC is in the middle of writing its lock: it empties the file, then fills it"
    while p.poll() is None:
        try:
            if os.stat(path).st_size == 0:
                return
        except OSError:
            continue


def kill_at(repo, command, seconds, whom, writing=False):
    """Start a command, and after some seconds (then at the next write of DVC's lock) kill its whole group,
    only itself, or only the DVC in it; True if it was still running"""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    p = subprocess.Popen(
        command,
        cwd=repo,
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        p.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        pids = [p.pid] if whom == "wrapper" else dvc_of(p.pid) if whom == "dvc" else []
        if writing:
            next_write(p, repo / ".dvc/tmp/rwlock")
        if p.poll() is not None:
            return False
        if whom == "group":
            os.killpg(p.pid, signal.SIGKILL)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        p.wait()
        return True


def kills(repo, command, seconds, n, writing=False):
    "Run from nothing and kill, `n` times; yields after each kill of a run that was still going"
    draw, killed, tries = random.Random(0), 0, 0
    while killed < n:
        tries += 1
        assert tries <= 4 * n, f"only {killed} of {tries} runs were still running when they were to be killed"
        forget(repo)
        if kill_at(
            repo, command, draw.uniform(0.3, seconds), ("group", "dvc", "wrapper")[killed % 3], writing
        ):
            killed += 1
            yield killed
        else:
            seconds *= 0.95  # it ended before: the first run was slower than the later ones are


MOMENTS = {"at any moment": False, "while DVC writes": True}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_few_kills_need_no_human(golden, moment):
    "The sample of `test_kills_need_no_human`"
    converge_after(golden, moment, SAMPLE)


@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
def test_kills_need_no_human(golden, moment):
    "After a kill the next run converges to the same hashes"
    converge_after(golden, moment, KILLS)


def converge_after(golden, moment, n_kills):
    "Kill, run again at once, and compare the hashes, as often as is asked; a third as often while DVC writes"
    repo, wanted, seconds = golden
    n = n_kills // 3 if MOMENTS[moment] else n_kills
    for killed in kills(repo, [sys.executable, "-m", "assay.cli", "repro"], seconds, n, MOMENTS[moment]):
        again = assay("repro", cwd=repo)  # at once, while what was killed may still be dying
        assert again.returncode == 0, (killed, again.stdout, again.stderr)
        assert hashes(repo) == wanted, killed
    print(f"{n} of {n} runs killed {moment} converged")


@pytest.mark.slow
def test_control_kills_leave_a_plain_dvc_repro_stuck(golden):
    "The same kills of a plain `dvc repro` leave repositories that no second run can use"
    repo, wanted, _ = golden
    raw = [sys.executable, "-m", "dvc", "repro"]
    forget(repo)
    start = time.monotonic()
    assert run(*raw, cwd=repo).returncode == 0
    seconds, stuck = time.monotonic() - start, {}
    for moment, writing in MOMENTS.items():
        # a second run, and a third, so that it is not what is still dying that was in the way
        stuck[moment] = sum(
            bool(run(*raw, cwd=repo).returncode and run(*raw, cwd=repo).returncode)
            for _ in kills(repo, raw, seconds, RAW_KILLS, writing)
        )
    print(f"plain `dvc repro`, stuck after {RAW_KILLS} kills: {stuck}")
    assert stuck["while DVC writes"] >= 1, stuck  # a random moment seldom meets one
    done = assay("repro", cwd=repo)
    assert done.returncode == 0 and hashes(repo) == wanted, done.stderr


STUCK = {
    "rwlock": (".dvc/tmp/rwlock", '{"data/prepared": {"wri'),
    "lock of a dead process": (".dvc/tmp/rwlock", '{"%s": {"write": {"pid": 1, "cmd": "dvc repro"}}}'),
    "dvc.lock": ("dvc.lock", "schema: '2.0'\nstages:\n  table: {cmd: x, outs: ["),
}


@pytest.mark.parametrize("case", STUCK)
def test_what_a_kill_leaves_is_put_right(golden, case):
    "The states in which a plain `dvc repro` stays stuck"
    repo, wanted, _ = golden
    forget(repo)
    path, text = STUCK[case]
    (repo / path).parent.mkdir(parents=True, exist_ok=True)
    (repo / path).write_text(text % (repo / "data/prepared") if "%s" in text else text)
    raw = run(sys.executable, "-m", "dvc", "repro", cwd=repo)
    assert raw.returncode != 0  # the control: DVC alone does not get out of it
    done = assay("repro", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert "recovered" in done.stderr
    assert hashes(repo) == wanted


def test_damage_is_found_and_made_again(golden):
    "One changed byte, with size and time as before, in an output and in the cache"
    repo, wanted, _ = golden
    assert assay("repro", cwd=repo).returncode == 0
    assert assay("verify", cwd=repo).returncode == 0
    output = repo / "data/studies/tree.json"
    cached = max(
        (p for p in (repo / ".dvc/cache/files/md5").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    for path in (output, cached):
        stamp, mode = path.stat(), path.stat().st_mode
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)
        path.chmod(mode)
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    raw = run(sys.executable, "-m", "dvc", "status", cwd=repo)
    assert "up to date" in raw.stdout  # the control: DVC alone does not see it
    found = assay("verify", cwd=repo)
    assert found.returncode == 1
    assert "data/studies/tree.json: content changed" in found.stdout
    assert cached.name in found.stdout
    done = assay("repro", cwd=repo)
    assert done.returncode == 0 and "recovered: data/studies/tree.json was damaged" in done.stderr
    assert assay("verify", cwd=repo).returncode == 0
    assert hashes(repo) == wanted


def test_two_at_once(golden):
    "The second run is told so and touches nothing"
    repo, wanted, _ = golden
    forget(repo)
    first = subprocess.Popen(
        [sys.executable, "-m", "assay.cli", "repro"],
        cwd=repo,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (repo / "data/prepared").exists():
        time.sleep(0.05)
    second = assay("repro", cwd=repo)
    assert second.returncode == 75 and "another `assay repro` is running" in second.stderr
    assert first.wait() == 0
    assert hashes(repo) == wanted


@pytest.mark.slow
def test_stages_are_forked_and_bytes_do_not_depend_on_it(golden, tmp_path):
    "A plain `dvc repro`, and a real Jupyter kernel, give the bytes that the forks of `assay repro` give"
    repo, wanted, _ = golden
    forget(repo)
    assert run(sys.executable, "-m", "dvc", "repro", cwd=repo).returncode == 0
    assert hashes(repo) == wanted
    forget(repo)
    done = assay(
        "repro",
        cwd=repo,
        env=dict(ASSAY_ENGINE="nbclient", HOME=str(tmp_path), TZ="Asia/Tokyo", OMP_NUM_THREADS="2"),
    )
    assert done.returncode == 0, done.stderr
    assert hashes(repo) == wanted


@pytest.mark.slow
def test_no_recovery_is_announced_after_a_run_that_ended(tmp_path):
    """A run of one stage, a stage that failed, a closed gate, a look at the state; the control is a lock
    that a killed DVC left"""
    repo = add_agreement(make_repo(tmp_path / "repo"))
    params, lock = repo / "params.yaml", repo / ".dvc/tmp/rwlock"
    announced = {}

    def repro(after, *arguments):
        done = assay("repro", *arguments, cwd=repo)
        announced[after] = "recovered" in done.stderr
        return done.returncode

    def change(old, new):
        assert old in params.read_text()
        params.write_text(params.read_text().replace(old, new))

    assert repro("nothing") == 0
    change("max_depth: 4", "max_depth: 5")
    assert repro("a run", "tree") == 0
    assert lock.read_text() not in ("", "{}")  # what was taken for the lock of a DVC that is gone
    assert repro("a run of one stage") == 0
    assert run(sys.executable, "-m", "dvc", "status", cwd=repo).returncode == 0
    change("max_gaps: 100", "max_gaps: 0")
    assert repro("a look at the state") == 3
    change("max_gaps: 0", "max_gaps: 100")
    assert repro("a closed gate") == 0
    assert announced == dict.fromkeys(announced, False)
    lock.write_text('{"write": {"%s": {"pid": 999999999, "cmd": "dvc repro"}}}' % (repo / "data/prepared"))
    assert repro("a kill") == 0 and announced["a kill"]


@pytest.mark.slow
def test_what_another_run_made_is_not_damaged(tmp_path):
    """An earlier commit is checked out over the data of a later one; and a clone of a repository whose run
    a gate stopped. The control is one changed byte"""
    repo = add_agreement(make_repo(tmp_path / "repo"))
    params = repo / "params.yaml"
    assert assay("repro", cwd=repo).returncode == 0
    commit(repo)
    wanted = hashes(repo)
    params.write_text(
        params.read_text().replace("n_rows: 3000", "n_rows: 3100").replace("max_gaps: 100", "max_gaps: 0")
    )
    assert assay("repro", cwd=repo).returncode == 3
    commit(repo)
    clone = tmp_path / "clone"
    assert run("git", "clone", "-q", repo, clone, cwd=tmp_path).returncode == 0
    assert "recovered" not in assay("repro", cwd=clone).stderr
    assert run("git", "checkout", "-q", "HEAD~1", cwd=repo).returncode == 0
    done = assay("repro", cwd=repo)
    assert done.returncode == 0
    assert "recovered" not in done.stderr
    assert hashes(repo) == wanted
    output = repo / "data/studies/tree.json"
    output.write_text(output.read_text().replace("0", "1", 1))
    assert (
        "set aside: data/studies/tree.json was written by something else" in assay("repro", cwd=repo).stderr
        and hashes(repo) == wanted
    )


CACHES = {
    "as usual": (),
    "moved": (("cache", "dir", "../elsewhere"),),
    "shared": (
        ("cache", "dir", "../shared"),
        ("config", "cache.shared", "group"),
        ("config", "cache.type", "symlink"),
    ),
}
RESTS = """
from assay.core.artifacts import metrics_path
waived = [dict(item='P09', role='operations', by='Ann', reason='a pilot', until='2013-12-31', hash='0'*64)]
found = write_metrics('tree', 'scored', {}, inputs=[place('train')])
write_json(metrics_path('tree'), found | dict(waived=waived))"""


@pytest.fixture(params=CACHES)
def cached(request, tmp_path):
    """A small repository with its cache here or elsewhere, in which the report of the tree rests on a
    waiver that has ended"""
    repo = make_repo(tmp_path / "repo")
    own, source = CELLS["tree"]
    write_notebook(repo, "tree", (own, source + RESTS))
    for words in CACHES[request.param]:
        assert run("dvc", *words, cwd=repo).returncode == 0
    assert assay("repro", cwd=repo).returncode == 0
    commit(repo)
    return repo


def runs_of(repo):
    "The entries of DVC's run cache"
    folder = Path(run("dvc", "cache", "dir", cwd=repo).stdout.strip())
    return {p for p in (folder / "runs").glob("*/*/*") if p.is_file()}


def did_run(done, stage):
    "Did a stage run, and was it not brought back from the cache?"
    assert done.returncode == 0, done.stderr
    return re.search(rf"^  {stage}  \d+ cells", done.stderr, re.M) is not None


def test_a_report_that_rests_on_an_ended_waiver_is_made_again_wherever_the_cache_is(cached):
    "DVC alone brings it back, the control; the runs of the other stages stay in its run cache"
    kept = {p for p in runs_of(cached) if "pipelines/tree.ipynb" not in p.read_text()}
    report = cached / "reports/tree/metrics.json"
    report.unlink()
    raw = run("dvc", "repro", "tree", cwd=cached)
    # not for ever "ready" in this way
    assert raw.returncode == 0 and report.exists() and "is cached" in raw.stdout
    done = assay("repro", cwd=cached)
    assert "tree rests on a waiver that holds no more; it runs again" in done.stderr
    assert did_run(done, "tree") and not did_run(done, "rule")
    assert kept and kept <= runs_of(cached)


def test_one_edited_report_leaves_the_run_cache_of_the_others(cached):
    "Its text says that it rests on another waiver; what was run before is brought back and not run again"
    params, report = cached / "params.yaml", cached / "reports/tree/metrics.json"
    kept = params.read_text()
    params.write_text(kept.replace("n_rows: 3000", "n_rows: 2000"))
    assert assay("repro", cwd=cached).returncode == 0
    params.write_text(kept)
    report.write_text(report.read_text().replace("P09", "P10"))
    done = assay("repro", cwd=cached)
    assert did_run(done, "tree")
    assert not did_run(done, "table") and not did_run(done, "rule")


def test_no_recovery_is_announced_of_what_another_branch_made(cached):
    """After a look by DVC, on another branch and back, and after a run that was discarded; the control is
    one changed byte of the same time"""
    params, said = cached / "params.yaml", {}
    kept = params.read_text()

    def repro(after):
        done = assay("repro", cwd=cached)
        said[after] = [
            line for line in done.stderr.splitlines() if line.startswith(("recovered", "set aside"))
        ]
        assert done.returncode == 0, done.stderr

    assert run("git", "checkout", "-qb", "deeper", cwd=cached).returncode == 0
    params.write_text(kept.replace("max_depth: 4", "max_depth: 5"))
    repro("a run on a branch")
    commit(cached)
    assert run("git", "checkout", "-q", "-", cwd=cached).returncode == 0
    assert run("dvc", "status", cwd=cached).returncode == 0
    repro("a look on the first branch")
    assert run("git", "checkout", "-q", "deeper", cwd=cached).returncode == 0
    assert run("dvc", "checkout", cwd=cached).returncode == 0
    repro("a checkout of DVC")
    params.write_text(kept.replace("max_depth: 4", "max_depth: 6"))
    repro("a run")
    assert run("git", "checkout", "-q", "--", ".", cwd=cached).returncode == 0
    repro("a run that was discarded")
    assert said == dict.fromkeys(said, [])
    output = cached / "data/studies/rule.json"
    stamp, content = output.stat(), output.read_bytes()
    output.unlink()
    output.write_bytes(content.replace(b"0", b"1", 1))
    os.utime(output, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    repro("one byte")
    assert any("data/studies/rule.json" in line for line in said["one byte"])


def test_a_lock_without_holders_is_free(golden):
    "DVC may leave a path that nobody reads; the control is a path that a dead process holds"
    repo, wanted, _ = golden
    assert assay("repro", cwd=repo).returncode == 0
    lock = repo / ".dvc/tmp/rwlock"
    for text, announced in (
        ('{"read": {"%s": []}, "write": {}}', False),
        ('{"read": {"%s": [{"pid": 999999999, "cmd": "dvc status"}]}}', True),
    ):
        lock.write_text(text % (repo / "data/prepared"))
        assert ("recovered" in assay("repro", cwd=repo).stderr) is announced
