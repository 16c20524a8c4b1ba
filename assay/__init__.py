"""From a decision problem and a table to a monitored model, with evidence for every step.

`from assay import load_problem, make_model` imports each entry point from the module that defines it,
when it is first asked for. `dir(assay)` lists them all, and `assay.face.ENTRIES` says where each is written.
"""
__version__ = "0.3.0"

import importlib as _importlib

from .face import ENTRIES as _ENTRIES

TYPE_CHECKING = False # a type checker takes it for true, and reads there what `__getattr__` gives
if TYPE_CHECKING:
    from .core.artifacts import write_metrics
    from .core.places import place
    from .core.yaml import read_yaml
    from .problem.agreement import load_problem
    from .problem.criteria import freeze_criteria
    from .stats.values import Label
    from .stats.intervals import Resamples, Resampling, interval, paired_difference
    from .stats.scored import Scored, Comparison
    from .data.sources import load_source
    from .data.example import make_flights
    from .data.columns import load_dictionary
    from .data.infer import infer_dictionary
    from .data.dictionary import validate
    from .data.splits import HashRule, make_splits
    from .explore.profile import summarise, profile
    from .explore.leakage import leakage_scan
    from .responsible.groups import group_table
    from .responsible.group_limits import judge_limits
    from .responsible.assessment import assess_harm
    from .models.features import feature_frame
    from .models.estimators import make_model, predict_score
    from .models.tuning import tune, TrialPlan
    from .evaluation.scores import score_table
    from .evaluation.own_scores import evaluate, Asked
    from .feasibility.study import assess_feasibility, decide
    from .feasibility.case import StudySettings
    from .package.bundle import export_bundle, load_bundle
    from .stages.definition import load_stages
    from .release.checklist import load_checklist, evaluate_checklist
    from .release.approval import approve
    from .release.waiving import waive
    from .serving.app import make_app, serve
    from .monitoring.decide import monitor
    from .site.pages import build_site
    from .project.proposal import propose
    from .project.new import create
    from .lab.own_table import OwnTable

__all__ = list(_ENTRIES)

def __getattr__(name):
    "The entry point called `name`; Python asks here only for what it has not found"
    if name not in _ENTRIES: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from .core.docments import document
    module = _importlib.import_module(f'.{_ENTRIES[name]}', __name__)
    globals()[name] = document(getattr(module, name))
    return globals()[name]

def __dir__(): return sorted({*globals(), *_ENTRIES} - {'TYPE_CHECKING'})
