"""Every kind of source reaches the data stage: a database, a URL, a function, several tables that join; and
no credential stays anywhere"""

import json
import shutil
import sqlite3
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from small import forked
from test_init import make_bundled

from assay.core.artifacts import read_table
from assay.core.yaml import read_yaml
from assay.project.create import with_data

# in parts, since the tests are copied to where it is looked for
CANARY = "-".join(("kanarienvogel", "Q4x", "2718"))


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    return make_bundled(tmp_path_factory.mktemp("connect") / "repo")


@pytest.fixture
def repo(bundled, tmp_path):
    return shutil.copytree(bundled, tmp_path / "repo", symlinks=True)


def orders(n=240, seed=0):
    "A table of one's own; the shop is a key"
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n).round(3)
    df = pd.DataFrame(dict(shop=rng.choice(["S1", "S2", "S3", "S9"], n)))
    df["size"] = size
    df["kind"] = rng.choice(["a", "b"], n)
    df["late"] = np.where(size + rng.normal(size=n) > 0, "yes", "no")
    return df


SHOPS = pd.DataFrame(dict(code=["S1", "S2", "S3"], staff=[3, 5, 8], town=["T1", "T2", "T1"]))


def database(path, **tables):
    con = sqlite3.connect(path)
    for name, df in tables.items():
        df.to_sql(name, con, index=False)
    con.close()
    return f"sqlite:///{path}"


def stage(repo, **env):
    "The data stage, alone"
    return forked("assay.pipeline.stage", "data", cwd=repo, env=env)


def metrics(repo):
    return json.loads((repo / "reports/data/metrics.json").read_text())


def printed(repo):
    "What the executed notebook shows, as one text, and how many pictures"
    cells = json.loads((repo / "data/executed/data.ipynb").read_text())["cells"]
    outputs = [o for c in cells for o in c.get("outputs", [])]
    return "".join("".join(o.get("text", [])) for o in outputs), sum(
        "image/png" in o.get("data", {}) for o in outputs
    )


def holding(folder, word):
    "Files below a folder that hold a word"
    files = [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()]
    own = [p for p in files if "assay" not in p.relative_to(folder).parts[:1]]
    return [str(p.relative_to(folder)) for p in own if word.encode() in p.read_bytes()]


def test_a_database_named_by_the_environment_is_drafted_and_read_and_its_url_stays_nowhere(repo, tmp_path):
    env = dict(ASSAY_SHOP_DB=database(tmp_path / f"{CANARY}.db", orders=orders()))
    query = "select * from orders"
    command = ("init", "env:ASSAY_SHOP_DB", "--query", query, "--target", "late")
    done = forked("assay.cli", *command, cwd=repo, env=env)
    assert done.returncode == 0, done.stderr
    assert "remove data/raw" in " ".join(done.stdout.split()), done.stderr
    said = [done.stdout + done.stderr]
    source = read_yaml(repo / "params.yaml")["data"]["source"]
    assert (source["kind"], source["url_env"], source["query"]) == ("sql", "ASSAY_SHOP_DB", query)
    assert "url" not in source
    done = stage(repo, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert metrics(repo)["metrics"]["n_raw"]["value"] == 240
    said += [done.stdout + done.stderr]
    shutil.rmtree(repo / "data/raw")
    for url in (
        database(tmp_path / f"other-{CANARY}.db", nothing=SHOPS),
        f"postgresql+psycopg://reader:{CANARY}@127.0.0.1:1/d",
        f"postgresql://a:{CANARY}@{CANARY}@h/d",
    ):
        done = stage(repo, ASSAY_SHOP_DB=url)
        assert done.returncode != 0
        said += [done.stdout + done.stderr]
    assert not [s for s in said if CANARY in s]
    assert holding(repo, CANARY) == []
    (repo / "data/note.txt").write_text(env["ASSAY_SHOP_DB"])
    assert holding(repo, CANARY) == ["data/note.txt"]  # control: the search finds one


def test_a_url_is_drafted_and_read(repo, tmp_path):
    orders().to_csv(tmp_path / "orders.csv", index=False)
    pytest.importorskip("aiohttp", reason="fsspec reads http with it")
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)
    ) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/orders.csv"
        done = forked("assay.cli", "init", url, "--target", "late", cwd=repo)
        assert done.returncode == 0, done.stderr
        assert read_yaml(repo / "params.yaml")["data"]["source"]["url"] == url
        assert not [d for d in read_yaml(repo / "dvc.yaml")["stages"]["data"]["deps"] if "orders" in d]
        done = stage(repo)
        assert done.returncode == 0 and metrics(repo)["metrics"]["n_raw"]["value"] == 240, done.stderr
        server.shutdown()
    for url in (f"https://ann:{CANARY}@host/t.csv", f"https://host/t.csv?token={CANARY}"):
        done = forked("assay.cli", "init", url, "--target", "late", "--force", cwd=repo)
        assert done.returncode == 1
        assert "password, token or key" in done.stderr
        assert CANARY not in done.stderr


SHOP_FUNCTION = """
from assay.data.example import make_flights
def read(n_rows): return make_flights(n_rows)
"""
PYTHON = dict(name="flights", kind="python", function="shop.orders:read", args=dict(n_rows=300))
# Source, the package that settings.ini names, and what is said
WRONG_FUNCTIONS = (
    (PYTHON, "assay", "only functions of the packages ['assay.examples']"),
    (PYTHON | dict(allowed=["shop"]), "assay", "'allowed', which is gone"),
    (PYTHON | dict(function="json.tool:main"), "json", "only functions of the packages ['assay.examples']"),
)
RIGHT_FUNCTIONS = (
    (PYTHON, "shop"),
    (PYTHON | dict(function="assay.examples.source:invented_flights"), "assay"),
)


def set_source(repo, data, source):
    "The data stage of this repository with another source"
    path = repo / "params.yaml"
    path.write_text(with_data(path.read_text(), data | dict(source=source)))


def test_a_function_runs_only_of_the_projects_own_package_or_of_assay(repo, tmp_path):
    from assay.data.example import make_flights

    make_flights(300).to_csv(tmp_path / "flights.csv", index=False)
    assert forked("assay.cli", "init", tmp_path / "flights.csv", "--target", "late", cwd=repo).returncode == 0
    data = read_yaml(repo / "params.yaml")["data"]
    assert "allowed" not in data["source"]
    (repo / "shop").mkdir()
    (repo / "shop/orders.py").write_text(SHOP_FUNCTION)

    def once(source, lib_name):
        (repo / "settings.ini").write_text(f"[DEFAULT]\nlib_name = {lib_name}\n")
        set_source(repo, data, source)
        done = stage(repo)
        return done.returncode, done.stdout + done.stderr

    for wrong, lib_name, says in WRONG_FUNCTIONS:
        code, said = once(wrong, lib_name)
        assert code == 1, said
        assert says in said
    for right, lib_name in RIGHT_FUNCTIONS:
        shutil.rmtree(repo / "data", ignore_errors=True)
        code, said = once(right, lib_name)
        assert code == 0, said
        assert metrics(repo)["metrics"]["n_raw"]["value"] == 300


JOIN = dict(left="orders", right="shops", on=dict(shop="code"), cardinality="many_to_one")


@pytest.fixture
def joined(repo, tmp_path):
    "A function that runs the data stage over orders and shops, with these joins and this query for shops"
    wanted = orders().merge(SHOPS.rename(columns=dict(code="shop")), how="left", on="shop")
    wanted.to_csv(tmp_path / "joined.csv", index=False)
    orders().to_csv(tmp_path / "orders.csv", index=False)
    # drafts the dictionary of what the join gives
    done = forked("assay.cli", "init", tmp_path / "joined.csv", "--target", "late", cwd=repo)
    assert done.returncode == 0
    data = read_yaml(repo / "params.yaml")["data"]
    sold = dict(name="orders", kind="csv", url="../orders.csv", recode=data["source"]["recode"])
    url = database(tmp_path / "shops.db", shops=SHOPS)

    def once(joins, query="select * from shops"):
        shutil.rmtree(repo / "data", ignore_errors=True)
        shops = dict(name="shops", kind="sql", url=url, query=query)
        set_source(repo, data, dict(tables=[sold, shops], joins=joins))
        return stage(repo)

    return once


def test_tables_of_two_kinds_join_into_one_and_the_report_shows_how(repo, joined):
    done = joined([JOIN])
    assert done.returncode == 0, done.stdout + done.stderr
    text, pictures = printed(repo)
    assert 'erDiagram\n    ORDERS }o--o| SHOPS : "shop"' in text
    assert "code PK" in text
    assert pictures >= 3
    alone = int((orders().shop == "S9").sum())
    assert sorted(json.loads((repo / "data/raw/manifest.json").read_text())["tables"]) == ["orders", "shops"]
    names = ("train", "valid", "test", "production")
    parts = pd.concat([read_table(repo / f"data/prepared/{n}.parquet") for n in names])
    assert len(parts) == 240
    assert parts.staff.isna().sum() == alone > 0
    assert joined([JOIN | dict(missing="drop")]).returncode == 0
    assert metrics(repo)["metrics"]["n_raw"]["value"] == 240 - alone


def test_a_join_that_loses_or_multiplies_rows_is_refused(joined):
    for wrong, sentence in (
        ([JOIN | dict(missing="raise")], "have no partner"),
        ([], "are not joined"),
        ([JOIN | dict(on="shop")], "the right table 'shops' lacks ['shop']"),
    ):
        done = joined(wrong)
        assert done.returncode == 1
        assert sentence in done.stdout + done.stderr
    done = joined([JOIN], "select * from shops union all select * from shops")
    assert done.returncode == 1
    assert "would multiply rows" in done.stdout + done.stderr
