"""A PostgreSQL server of its own, on loopback, in a folder that goes away"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path


def programs():
    "The programs of a PostgreSQL server, by name; empty where one is missing"
    folders = [
        *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True),
        *os.environ["PATH"].split(os.pathsep),
    ]
    found = {n: shutil.which(n, path=os.pathsep.join(folders)) for n in ("initdb", "postgres")}
    return found if all(found.values()) else {}


def as_owner():
    """What comes before a command of the server, which refuses to run as root

    None where no other user is there."""
    if os.getuid():
        return []
    known = subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode == 0
    return ["runuser", "-u", "postgres", "--"] if known and shutil.which("runuser") else None


def why_no_server():
    "Why no server can be started here; None where one can"
    if not programs():
        return "no PostgreSQL server that can be started: install Debian's `postgresql`"
    if as_owner() is None:
        return "a PostgreSQL server does not run as root, and there is no user postgres with `runuser`"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_folder(password):
    "A folder for the server, with a file that holds the password; both belong to its owner"
    folder = Path(tempfile.mkdtemp(prefix="assay-pg-"))
    (folder / "password").write_text(password)
    if as_owner():
        for p in (folder, folder / "password"):
            shutil.chown(p, "postgres")
    return folder


def environment():
    "The environment of the server: no setting of a PostgreSQL that somebody uses"
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | dict(LC_ALL="C.UTF-8")


def make_database(folder, user):
    "The files of an empty database"
    where = ["-D", str(folder / "data"), "-E", "UTF8", "--no-sync"]
    who = ["-U", user, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
    command = [*as_owner(), programs()["initdb"], *where, *who]
    subprocess.run(command, cwd="/", env=environment(), check=True, capture_output=True, timeout=60)


def start(folder, port):
    "The process of the server; what it says goes to `log`"
    options = dict(listen_addresses="127.0.0.1", port=port, unix_socket_directories="")
    options |= dict(fsync="off", shared_buffers="8MB")
    settings = [a for k, v in options.items() for a in ("-c", f"{k}={v}")]
    command = [*as_owner(), programs()["postgres"], "-D", str(folder / "data"), *settings]
    with open(folder / "log", "w") as out:
        return subprocess.Popen(command, cwd="/", env=environment(), stdout=out, stderr=out)


def answers(url):
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    try:
        with engine.connect():
            return True
    except sa.exc.OperationalError:
        return False
    finally:
        engine.dispose()


def wait_until_ready(url, server, log):
    for _ in range(150):
        if answers(url):
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the PostgreSQL server did not start: {log.read_text()[-800:]}")


def stop(folder, server):
    "End the server that we started, by the id it wrote itself, and remove its folder"
    pid = folder / "data/postmaster.pid"
    if pid.is_file():
        os.kill(int(pid.read_text().split()[0]), 3)  # SIGQUIT: at once
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_server(user, password):
    "URL of an empty database, which is gone behind the block"
    folder, port = make_folder(password), free_port()
    make_database(folder, user)
    server = start(folder, port)
    try:
        url = f"postgresql+psycopg://{user}:{password}@127.0.0.1:{port}/postgres"
        wait_until_ready(url, server, folder / "log")
        yield url
    finally:
        stop(folder, server)
