"The house check of readability: no figure above its ceiling, and no ceiling raised without a reason"

import ast
import re

import density
import pytest

from assay.truths.unseen_runs import _ROUNDS

DENSE = '''
class Table:
    def sums(self, a, b, c, d, e, f, g):
        """A docstring does not count

        however long it is"""
        if a > b:
            return [[x + y for x in row] for row in (a, b)]
        with open(a) as file:
            f = lambda x: x
        return file, f
'''
PYPROJECT = f"""[project]
name = "assay"

{density.COMMENT}[tool.assay.readable.assay]
body_median = 7
lambdas_per_1000 = {{ ceiling = 7.5, because = "rules are pairs of a \\"name\\" and a test"}}
[tool.assay.readable.tests]
body_median = 5
"""
FIGURES = {"assay.body_median": 6, "assay.lambdas_per_1000": 7.5, "tests.body_median": 4}


@pytest.fixture(scope="module")
def project():
    return (density.ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def modules():
    return {f: density.read_modules(density.ROOT / f) for f in density.FOLDERS}


@pytest.fixture
def ceilings():
    return density.read_ceilings(PYPROJECT)


def written(folder, **modules):
    "A folder with these modules"
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return density.read_modules(folder)


def test_nothing_is_denser_than_agreed(modules, project):
    ours, _ = density.parted(modules, density.read_frozen(project))
    figures, ceilings = density.measure_all(ours), density.read_ceilings(project)
    assert density.density_faults(figures, ceilings, density.committed_lowest()) == []


def listed_exceptions():
    "Name and number of parameters of each function in the table of CONTRIBUTING.md"
    text = (density.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| function | parameters |")[2].partition("\n\n")[0]
    cells = [line.split("|") for line in table.splitlines()[2:]]
    names = re.findall(r"(\w+)`", "".join(named for _, named, *_ in cells))
    numbers = ",".join(counted for _, _, counted, *_ in cells).split(",")
    return sorted(zip(names, map(int, numbers), strict=True))


def test_each_function_of_many_parameters_is_listed_with_their_number(project):
    "The table of CONTRIBUTING.md has each of them, and no other"
    frozen = density.read_frozen(project).modules
    every = {*(density.ROOT / "assay").rglob("*.py")}
    apart = {path for name in frozen for path in (density.ROOT / "assay").glob(f"{name}.py")}
    nodes = [n for p in every - apart for n in ast.walk(ast.parse(p.read_text(encoding="utf-8")))]
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef)]
    counted = [(f.name, density.n_parameters(f)) for f in functions]
    assert sorted((name, n) for name, n in counted if n > density.MANY_PARAMETERS) == listed_exceptions()


def test_only_cases_of_other_authors_are_measured_apart(modules, project):
    _, apart = density.parted(modules, density.read_frozen(project))
    rounds = {m.__name__.rpartition(".")[2] for round in _ROUNDS.values() for m in round}
    rounds |= {"eighth_worlds", "ninth_worlds", "tenth_worlds", "eleventh_worlds"}
    assert {m.name for m in apart["assay"]} == {f"truths/{name}.py" for name in rounds}
    assert {m.name.partition("_")[2] for m in apart["nbs"]} == {f"{name}.py" for name in rounds}
    assert apart["tests"] == apart["pipelines"] == []


def test_what_is_measured_apart_raises_no_figure_and_is_named(tmp_path):
    frozen = density.Frozen(["cases/*_traps"], "nobody reshapes them")
    (tmp_path / "cases").mkdir()
    for name in ("cases/07_late_traps", "cases/traps_of_ours", "late_traps"):
        (tmp_path / f"{name}.py").write_text(f"x = [{', '.join('f(1)' for _ in range(20))}]\n")
    ours, apart = density.parted({"nbs": density.read_modules(tmp_path)}, frozen)
    assert [m.name for m in apart["nbs"]] == ["cases/07_late_traps.py"]
    assert density.measure_all(ours)["nbs.statements_over_60"] == 2
    said = frozen.line("nbs", apart["nbs"])
    assert said.startswith("nbs, measured apart: 1 modules, the longest of 22 lines")


def test_only_the_names_that_nbdev_lists_may_be_wide(tmp_path):
    names = "__all__ = [" + ", ".join(f"'name_{i}'" for i in range(12)) + "]\n"
    listed = written(tmp_path, listed="# %% auto #0\n" + names)
    assert density.measure(listed)["lines_over_110"] == 0
    by_hand = written(tmp_path, listed=names, more="# %% auto #0\n" + names + "x = '" + 110 * "x" + "'\n")
    found = [f"{place[1]}" for m in by_hand for place in density.places(m) if "a line of" in place[1]]
    assert density.measure(by_hand)["lines_over_110"] == 2
    assert any(place.startswith("more.py:3: a line of 116") for place in found)


def test_each_figure_counts_what_it_says(tmp_path):
    found = density.measure(written(tmp_path, dense=DENSE))
    assert found["parameters_over_6"] == 1
    assert found["body_median"] == 5  # the docstring is free
    assert found["module_max"] == 9
    assert found["nested_comprehensions_per_1000"] == 111.11
    assert found["lambdas_per_1000"] == 111.11
    assert found["statements_over_60"] == found["lines_over_110"] == found["functions_over_30"] == 0


def test_a_long_line_and_a_stuffed_statement_are_found(tmp_path):
    stuffed = f"x = [{', '.join(f'f({i}, {i})' for i in range(20))}]\n"
    modules = written(tmp_path, stuffed=stuffed)
    found = density.measure(modules)
    assert (found["lines_over_110"], found["statements_over_60"]) == (1, 1)
    assert [p.partition(":")[0] for p in density.worst(modules, 5)] == ["stuffed.py", "stuffed.py"]


def test_of_notebooks_the_code_cells_are_measured():
    assert "00_face.py" in density.sources(density.ROOT / "nbs")
    assert "# The public face" not in density.sources(density.ROOT / "nbs")["00_face.py"]


def test_a_denser_figure_is_a_fault(ceilings):
    assert density.density_faults(FIGURES, ceilings, {}) == []
    (fault,) = density.density_faults(FIGURES | {"assay.body_median": 8}, ceilings, {})
    assert fault.startswith("assay.body_median is 8; expected at most 7")


def test_a_figure_without_a_ceiling_is_a_fault(ceilings):
    (fault,) = density.density_faults(FIGURES | {"nbs.body_median": 4}, ceilings, {})
    assert fault.startswith("nbs.body_median has no ceiling")


def test_a_ceiling_is_raised_only_with_a_reason(ceilings):
    lowest = {"assay.body_median": 6, "assay.lambdas_per_1000": 3}
    (fault,) = density.density_faults(FIGURES, ceilings, lowest)
    assert fault == "assay.body_median may be 7 and was 6; a ceiling is raised only with `because`"


def test_writing_lowers_to_the_aim_and_never_raises(ceilings):
    lowered = density.lowered(FIGURES, ceilings)
    assert {n: c.value for n, c in lowered.items()} == FIGURES | {"tests.body_median": 5}
    assert lowered["assay.lambdas_per_1000"].because
    assert density.lowered(FIGURES | {"assay.body_median": 9}, ceilings)["assay.body_median"].value == 7


@pytest.mark.parametrize(
    "name, because, said",
    [
        ("assay.body_median", " ", "only with --because"),
        ("tests.body_median", "tests are tables", "nothing to raise"),
        ("assay.bodies", "why not", "has no ceiling"),
    ],
)
def test_raising_wants_a_figure_a_reason_and_a_need(ceilings, name, because, said):
    with pytest.raises(SystemExit, match=said):
        density.raised(FIGURES | {"assay.body_median": 8}, ceilings, name, because)


def test_what_is_written_is_read_again(ceilings):
    raised = density.raised(FIGURES | {"assay.body_median": 8}, ceilings, "assay.body_median", 'a "table"')
    text = density.with_ceilings(PYPROJECT, raised)
    assert density.read_ceilings(text) == raised
    assert density.with_ceilings(text, ceilings) == density.with_ceilings(PYPROJECT, ceilings)
    assert text.startswith('[project]\nname = "assay"\n')
