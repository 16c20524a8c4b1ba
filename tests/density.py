"""Measure how dense the code is, and compare it with the ceilings in pyproject.toml.

    python tests/density.py              each figure with its ceiling and its aim
    python tests/density.py --worst 20   the twenty densest places of each folder too
    python tests/density.py --write      lower each ceiling to today's value, but not below the aim
    python tests/density.py --raise assay.lambdas_per_1000 --because "why it is clearer so"

Lengths are counted after `ruff format`, 100 wide, so that long lines buy nothing.
Of a folder without Python files, such as `nbs`, the code cells of its notebooks are measured.
The lines of `__all__` that nbdev writes, up to 130 wide, are no long lines: nobody writes or reads them.
Modules that nobody may reshape are measured apart, on a line of their own: `[tool.assay.frozen]` in
pyproject.toml names them, with the reason. No ceiling counts them.
"""

import argparse
import ast
import fnmatch
import functools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("assay", "tests", "pipelines", "nbs")
AIMS = dict(
    body_median=5,
    body_p90=18,
    functions_over_30=8,
    module_median=180,
    module_max=400,
    statement_median=10,
    statement_p90=22,
    statements_over_60=10,
    lines_over_110=0,
    parameters_over_6=12,
    nested_comprehensions_per_1000=0.7,
    lambdas_per_1000=3,
)
LONG_BODY, LONG_LINE, LARGE_STATEMENT, MANY_PARAMETERS = 30, 110, 60, 6

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
SIMPLE = (
    ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return | ast.Expr | ast.Raise | ast.Assert | ast.Delete
)


# What is measured


@dataclass
class Module:
    "One source, as it is written and as ruff lays it out"

    name: str
    source: str
    text: str

    @functools.cached_property
    def nodes(self):
        return list(ast.walk(ast.parse(self.text)))

    def all_of(self, kinds):
        return [n for n in self.nodes if isinstance(n, kinds)]

    @property
    def length(self):
        return sum(bool(line.strip()) for line in self.text.splitlines())


GENERATED = re.compile(r"^# %% auto #0\n__all__ = \[[^\]]*\]$", re.MULTILINE)


def empty_lines(found):
    return "\n" * found[0].count("\n")


def written_lines(module):
    "The lines of a source as it is written; those of the list of names that nbdev writes are empty"
    return GENERATED.sub(empty_lines, module.source).splitlines()


def code_cells(path):
    "The code cells of a notebook as one source, without magics"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    lines = [line for cell in code for line in cell.splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))) + "\n"


def sources(folder):
    "Relative path to source: the Python files below a folder, or the code cells of its notebooks"
    found = {p: p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*.py")) if p.name != "_modidx.py"}
    if not found:
        notebooks = [p for p in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
        found = {p: code_cells(p) for p in notebooks}
    return {p.relative_to(folder).with_suffix(".py").as_posix(): source for p, source in found.items()}


def read_modules(folder):
    "The modules of a folder"
    found = sources(Path(folder))
    with tempfile.TemporaryDirectory() as copy:
        for name, source in found.items():
            path = Path(copy, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        options = ["--quiet", "--isolated", "--line-length", "100"]
        subprocess.run([sys.executable, "-m", "ruff", "format", *options, copy], check=True)
        return [Module(n, source, Path(copy, n).read_text(encoding="utf-8")) for n, source in found.items()]


def is_text(statement):
    "Is a statement a constant alone, such as a docstring?"
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def body_length(function):
    "Lines of a function's body; signature and docstring are free, so that documented parameters cost nothing"
    first, *_ = function.body
    documented = is_text(first) and isinstance(first.value.value, str)
    body = function.body[documented:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def n_parameters(function):
    "Parameters of a function, apart from `self` and `cls`"
    a = function.args
    every = (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg)
    return sum(p is not None and p.arg not in ("self", "cls") for p in every)


def statements(module):
    "Simple statements, and what the headers of compound ones hold"
    found = [n for n in module.all_of(SIMPLE) if not is_text(n)]
    found += [n.test for n in module.all_of(ast.If | ast.While)]
    found += [n.iter for n in module.all_of(ast.For | ast.AsyncFor)]
    found += [item.context_expr for n in module.all_of(ast.With | ast.AsyncWith) for item in n.items]
    return found + [n.subject for n in module.all_of(ast.Match)]


def n_nodes(statement):
    "How many pieces of syntax a statement holds"
    return sum(1 for _ in ast.walk(statement))


def n_nested(module):
    "How often a comprehension stands inside another"
    outer = module.all_of(COMPREHENSIONS)
    return sum(isinstance(inner, COMPREHENSIONS) for c in outer for inner in ast.walk(c) if inner is not c)


def p90(values):
    "The value that nine of ten do not exceed"
    return sorted(values)[min(int(len(values) * 0.9), len(values) - 1)]


def measure(modules):
    "Name of a figure to its value, for the figures of `AIMS`"
    functions = [f for m in modules for f in m.all_of(FUNCTIONS)]
    bodies = [body_length(f) for f in functions] or [0]
    sizes = [n_nodes(s) for m in modules for s in statements(m)]
    lengths = [m.length for m in modules]
    thousands = sum(lengths) / 1000
    lines = [line for m in modules for line in written_lines(m)]
    nested = sum(map(n_nested, modules))
    lambdas = sum(len(m.all_of(ast.Lambda)) for m in modules)
    of_functions = dict(
        body_median=statistics.median(bodies),
        body_p90=p90(bodies),
        functions_over_30=sum(n > LONG_BODY for n in bodies),
    )
    of_modules = dict(module_median=int(statistics.median(lengths)), module_max=max(lengths))
    of_statements = dict(
        statement_median=statistics.median(sizes),
        statement_p90=p90(sizes),
        statements_over_60=sum(n > LARGE_STATEMENT for n in sizes),
    )
    wide = dict(
        lines_over_110=sum(len(line) > LONG_LINE for line in lines),
        parameters_over_6=sum(n_parameters(f) > MANY_PARAMETERS for f in functions),
    )
    shares = dict(
        nested_comprehensions_per_1000=round(nested / thousands, 2),
        lambdas_per_1000=round(lambdas / thousands, 2),
    )
    return of_functions | of_modules | of_statements | wide | shares


def places(module):
    "The dense places of a module: how far above the measure, and what a reader finds there"
    for i, line in enumerate(written_lines(module), 1):
        yield len(line) / LONG_LINE, f"{module.name}:{i}: a line of {len(line)} characters"
    for f in module.all_of(FUNCTIONS):
        yield body_length(f) / LONG_BODY, f"{module.name}: {f.name} has a body of {body_length(f)} lines"
        yield n_parameters(f) / MANY_PARAMETERS, f"{module.name}: {f.name} takes {n_parameters(f)} parameters"
    for s in statements(module):
        yield (
            n_nodes(s) / LARGE_STATEMENT,
            f"{module.name}: a statement of {n_nodes(s)} nodes: {ast.unparse(s)[:70]}",
        )


def worst(modules, n):
    "The densest places, the worst first"
    found = [place for m in modules for place in places(m) if place[0] > 1]
    return [text for _, text in sorted(found, reverse=True)[:n]]


# What is measured apart


@dataclass
class Frozen:
    "Modules that nobody may reshape: `folder/module` as patterns, and why"

    modules: list
    because: str

    def holds(self, name):
        "Is a module one of them? The number of a notebook does not count"
        plain = re.sub(r"\b\d\d_", "", name.removesuffix(".py"))
        return any(fnmatch.fnmatchcase(plain, pattern) for pattern in self.modules)

    def line(self, folder, modules):
        "What a reader should know of those that a folder has"
        found = measure(modules)
        return (
            f"{folder}, measured apart: {len(modules)} modules, the longest of {found['module_max']} lines, "
            f"{found['statements_over_60']} statements over 60 nodes; {self.because}"
        )


def read_frozen(text):
    "What the content of pyproject.toml has measured apart"
    table = tomllib.loads(text).get("tool", {}).get("assay", {}).get("frozen", {})
    return Frozen(table.get("modules", []), table.get("because", ""))


def parted(modules, frozen):
    "Folder to its modules, once for those that we shape and once for the frozen ones"
    ours, apart = {}, {}
    for folder, found in modules.items():
        ours[folder] = [m for m in found if not frozen.holds(m.name)]
        apart[folder] = [m for m in found if frozen.holds(m.name)]
    return ours, apart


# The ceilings


COMMENT = """\
# Ceilings of tests/density.py: the aim, or the value of the day until it is reached. `--write` lowers them.
"""


@dataclass
class Ceiling:
    "What a figure must not exceed; a ceiling that was raised says why"

    value: float
    because: str = ""

    def line(self, name):
        "Its line in pyproject.toml"
        if not self.because:
            return f"{name} = {self.value:g}"
        reason = json.dumps(self.because, ensure_ascii=False)
        return f"{name} = {{ ceiling = {self.value:g}, because = {reason} }}"


def as_ceiling(found):
    "A ceiling as pyproject.toml has it: a number, or a number with its reason"
    return Ceiling(found["ceiling"], found["because"]) if isinstance(found, dict) else Ceiling(found)


def read_ceilings(text):
    "`folder.figure` to its ceiling, of the content of pyproject.toml"
    tables = tomllib.loads(text).get("tool", {}).get("assay", {}).get("readable", {})
    return {
        f"{folder}.{name}": as_ceiling(v) for folder, table in tables.items() for name, v in table.items()
    }


def with_ceilings(text, ceilings):
    "The content of pyproject.toml with these ceilings at its end, in the place of those before"
    lines = []
    for name, ceiling in ceilings.items():
        folder, _, figure = name.partition(".")
        head = f"[tool.assay.readable.{folder}]"
        if head not in lines:
            lines += ["", head]
        lines.append(ceiling.line(figure))
    return f"{text.partition(COMMENT)[0].rstrip()}\n\n{COMMENT}" + "\n".join(lines[1:]) + "\n"


def aim_of(name):
    "The aim of `folder.figure`"
    return AIMS[name.partition(".")[2]]


def lowered(figures, ceilings):
    "The ceilings that today's figures allow: never below the aim, and never higher than before"
    wanted = {name: max(aim_of(name), value) for name, value in figures.items()}
    kept = {n: c for n, c in ceilings.items() if n in wanted and c.value <= wanted[n]}
    return {name: kept.get(name, Ceiling(value)) for name, value in wanted.items()}


def raised(figures, ceilings, name, because):
    "The ceilings with one at today's value; exits where there is no such figure, no reason or no need"
    if name not in ceilings:
        sys.exit(f"error: {name!r} has no ceiling; expected folder and figure, as in assay.lambdas_per_1000")
    if not because.strip():
        sys.exit("error: a ceiling is raised only with --because: say why the code is clearer so")
    if figures[name] <= ceilings[name].value:
        sys.exit(f"error: {name} is {figures[name]:g}, and may be {ceilings[name].value:g}; nothing to raise")
    return ceilings | {name: Ceiling(figures[name], because)}


def fault(name, value, ceiling, lowest):
    "What is wrong with one figure; None where nothing is"
    if ceiling is None:
        return f"{name} has no ceiling in pyproject.toml; run python tests/density.py --write"
    if value > ceiling.value:
        return f"{name} is {value:g}; expected at most {ceiling.value:g}: python tests/density.py --worst 20"
    if ceiling.value > lowest and not ceiling.because:
        return f"{name} may be {ceiling.value:g} and was {lowest:g}; a ceiling is raised only with `because`"


def density_faults(figures, ceilings, lowest):
    "What is denser than agreed; `lowest` has the ceilings that were committed, from `committed_lowest`"
    found = [fault(n, value, ceilings.get(n), lowest.get(n, float("inf"))) for n, value in figures.items()]
    return [f for f in found if f]


def git(*args):
    "What git says; nothing where it does not answer"
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True).stdout


def committed_lowest():
    "`folder.figure` to its lowest ceiling in any commit since it was last raised with a reason"
    res = {}
    for commit in git("log", "--reverse", "--format=%H", "--", "pyproject.toml").split():
        for name, ceiling in read_ceilings(git("show", f"{commit}:pyproject.toml")).items():
            res[name] = ceiling.value if ceiling.because else min(ceiling.value, res.get(name, ceiling.value))
    return res


# The command


def measure_all(modules):
    "`folder.figure` to its value; `modules` is folder to its modules"
    return {f"{folder}.{name}": v for folder, found in modules.items() for name, v in measure(found).items()}


def show(figures, ceilings):
    "Print each figure beside its aim and its ceiling"
    print(f"{'':46}{'value':>8}{'ceiling':>9}{'aim':>7}")
    for name, value in figures.items():
        ceiling = f"{ceilings[name].value:g}" if name in ceilings else "-"
        print(f"{name:46}{value:>8g}{ceiling:>9}{aim_of(name):>7g}")


def parse(argv):
    "The arguments of the command"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--worst", type=int, default=0, metavar="N", help="list the N densest places of each folder"
    )
    parser.add_argument("--write", action="store_true", help="lower the ceilings to today's values")
    parser.add_argument(
        "--raise", dest="name", metavar="FOLDER.FIGURE", help="raise one ceiling to today's value"
    )
    parser.add_argument("--because", default="", help="the reason for --raise")
    return parser.parse_args(argv)


def main(argv=None):
    args, path = parse(argv), ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    frozen = read_frozen(text)
    modules, apart = parted({folder: read_modules(ROOT / folder) for folder in FOLDERS}, frozen)
    figures = measure_all(modules)
    ceilings = read_ceilings(text)
    if args.name:
        ceilings = raised(figures, ceilings, args.name, args.because)
    if args.write:
        ceilings = lowered(figures, ceilings)
    if args.name or args.write:
        path.write_text(with_ceilings(text, ceilings), encoding="utf-8")
    show(figures, ceilings)
    for folder, found in apart.items():
        if found:
            print(frozen.line(folder, found))
    dense = [f"{folder}/{place}" for folder, found in modules.items() for place in worst(found, args.worst)]
    faults = density_faults(figures, ceilings, committed_lowest())
    for line in dense + faults:
        print(line)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
