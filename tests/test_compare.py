"The comparison of two versions of the evidence finds a value that changed, and nothing else"

import json
import shutil

import compare
import pytest

METRICS = dict(
    stage="explore",
    verdict="usable",
    metrics=dict(auc=dict(value=0.7, low=0.6, n=100)),
    checks=[dict(id="F1", status="pass", why="as in assay/explore/exploration.py, 0123456789abcdef")],
    inputs={"x": "sha256:1"},
)


# Where a value is changed, and to what
CHANGES = [
    (("verdict",), "not usable"),
    (("metrics", "auc", "low"), 0.6000001),
    (("metrics", "auc", "n"), 100.0),
    (("metrics", "other"), dict(value=1)),
    (("checks", 0, "why"), "as in assay/explore/exploration.py, and more"),
    (("checks",), []),
]


@pytest.mark.parametrize("path, value", CHANGES)
def test_a_changed_value_is_found(path, value):
    after = json.loads(json.dumps(METRICS))
    *above, last = path
    part = after
    for key in above:
        part = part[key]
    part[last] = value
    assert compare.differences(METRICS, after)


def test_what_is_missing_on_both_sides_is_the_same():
    nan = float("nan")
    assert compare.differences(dict(x=nan, y=1), dict(x=nan, y=1)) == []
    assert compare.differences(dict(x=nan), dict(x=0.0)) != []


def test_hashes_and_names_of_sources_may_change():
    after = json.loads(json.dumps(METRICS))
    after["inputs"] = {"x": "sha256:2"}
    after["checks"][0]["why"] = "as in assay/explore/exploration.py, fedcba9876543210"
    assert compare.differences(METRICS, after) == []


def test_a_reworded_page_is_listed_and_a_changed_style_is_not(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.html").write_text("<style>p {}</style><p>Eleven <b>rows</b></p>")
    (tmp_path / "b/report.html").write_text("<style>p {color: red}</style><p>Eleven <i>rows</i></p>")
    assert compare.reworded(tmp_path / "a", tmp_path / "b") == []
    (tmp_path / "b/report.html").write_text("<p>Twelve <b>rows</b></p>")
    assert compare.reworded(tmp_path / "a", tmp_path / "b") == [
        "report.html: -Eleven",
        "report.html: +Twelve",
    ]


def test_the_reports_of_this_revision_are_themselves(capsys):
    assert compare.main(["HEAD", "HEAD"]) == 0
    assert "0 differ" in (said := capsys.readouterr().out)
    assert int(said.split()[0]) > 1000


def test_kept_tables_are_compared(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/explore_1.json").write_text(json.dumps([dict(x=1, y=0.5)]))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    tables = ["--tables", str(tmp_path / "a"), str(tmp_path / "b")]
    assert compare.main(["HEAD", "HEAD", *tables]) == 0
    (tmp_path / "b/explore_1.json").write_text(json.dumps([dict(x=1, y=0.25)]))
    assert compare.main(["HEAD", "HEAD", *tables]) == 1
    assert "explore_1.json[0].y: 0.5 -> 0.25" in capsys.readouterr().out
