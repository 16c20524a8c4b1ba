"What a negative control of a gate is: one broken input, run with its gate and without it"

import dataclasses
import shutil
from pathlib import Path

from example import FLIGHTS

from assay.core.artifacts import write_metrics
from assay.core.places import place
from assay.problem.agreement import agreement_verdict, load_problem
from assay.problem.criteria import freeze_criteria
from assay.release.checklist import evaluate_checklist, read_stages
from assay.release.gates import closed_gates
from assay.release.readiness import open_items
from assay.stages.definition import Gate, load_stages

ROOT = Path(__file__).parent.parent
STAGES = load_stages(ROOT / "dvc.yaml")
CONTROLS = {}


def control(reason):
    "A control, and what is said where it stops something"

    def keep(f):
        CONTROLS[f.__name__] = f, reason
        return f

    return keep


class Case:
    "One run of one control, in a folder of its own"

    def __init__(self, folder, released, monkeypatch, broken, removed):
        self.folder = folder
        self.released = released
        self.monkeypatch = monkeypatch
        self.broken = broken
        self.removed = removed

    def patch(self, module, name, value):
        "Take a gate out of the code, where this run is the one without it"
        if self.removed:
            self.monkeypatch.setattr(module, name, value)

    def agree(self, **changes):
        "The bundled agreement, frozen and reported as the problem stage does"
        text = (FLIGHTS / "problem.yaml").read_text()
        for old, new in changes.items():
            assert f"{old}:" in text
            lines = [f"{old}: {new}" if line.startswith(f"{old}:") else line for line in text.splitlines()]
            text = "\n".join(lines) + "\n"
        place("problem").write_text(text)
        p = load_problem()
        freeze_criteria(p)
        self.report("problem", agreement_verdict(p), inputs=[place("problem")])
        return p

    def report(self, stage, verdict, checks=(), inputs=()):
        "The report of a stage, about a file that is there"
        Path("table.csv").write_text("late\n1\n")
        return write_metrics(stage, verdict, {}, list(checks), inputs or [Path("table.csv")])

    def start(self, name, gate, **kwargs):
        """Why a stage of the repository's own dvc.yaml may not start; in the run without the gate, `stage`
        or `stage.check` is taken out of dvc.yaml"""
        stage, (other, _, id) = STAGES[name], gate.partition(".")
        kept = stage.gates[other]
        assert not id or id in kept.checks, f"dvc.yaml does not ask for {gate}"
        if self.removed:
            gates = {k: v for k, v in stage.gates.items() if k != other}
            if id:
                gates[other] = Gate(kept.verdicts, tuple(c for c in kept.checks if c != id))
            stage = dataclasses.replace(stage, gates=gates)
        return "; ".join(closed_gates(stage, **kwargs))

    def key(self, name="ann"):
        return self.folder.parent / f"{self.folder.name}-{name}.pem"

    def use_release(self):
        "The tiny released model, here"
        shutil.copytree(self.released, self.folder, dirs_exist_ok=True)
        for name in ("ann", "bob"):
            shutil.copy(self.released.parent / f"{self.released.name}-{name}.pem", self.key(name))


def why(f, *args, **kwargs):
    "What is said where something is refused; nothing where it is not"
    try:
        f(*args, **kwargs)
    except (OSError, ValueError) as e:
        return str(e)
    return ""


def always(value):
    "A function that gives this value, whatever it is asked"

    def answer(*_, **__):
        return value

    return answer


nothing = always(None)


def open_sentences(item):
    "What the checklist says of an item that is open; nothing where it is not"
    rows = open_items(evaluate_checklist([item], read_stages(item["stages"])))
    return "; ".join(f"{r['id']} is {r['status']!r}: {r['why']}" for r in rows)
