"""evoked: what a social-media post or ad evokes, and the engagement that follows.

Five lines lead from posts to a scored draft::

    import evoked

    posts = evoked.open("my_posts")
    run = evoked.train(posts, out="my_run")
    print(run.predict([evoked.Draft(image="draft.jpg", caption="Sunrise over the bay")]))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evoked.advice.advising import Advice as Advice
    from evoked.advice.advising import advise as advise
    from evoked.advice.hours import Hours as Hours
    from evoked.advice.hours import when as when
    from evoked.advice.planning import Plan as Plan
    from evoked.advice.planning import plan as plan
    from evoked.advice.ranking import Ranking as Ranking
    from evoked.advice.ranking import rank as rank
    from evoked.advice.tested import Tested as Tested
    from evoked.advice.tested import check_plan as check_plan
    from evoked.evaluation.splits import Split as Split
    from evoked.experiments import load_table as load_table
    from evoked.features.cache import FeatureCache as FeatureCache
    from evoked.features.catalog import FeatureSettings as FeatureSettings
    from evoked.laboratory.automatic import train_automatically as train_automatically
    from evoked.laboratory.study import Study as Study
    from evoked.laboratory.study import StudyCallbacks as StudyCallbacks
    from evoked.models.base import Examples as Examples
    from evoked.models.base import Model as Model
    from evoked.models.base import ModelSettings as ModelSettings
    from evoked.models.neural import NeuralModel as NeuralModel
    from evoked.posts.dataset import PostDataset as PostDataset
    from evoked.posts.drafts import Draft as Draft
    from evoked.posts.importing import import_posts as import_posts
    from evoked.posts.synthetic.posts import synthesise as synthesise
    from evoked.runs.base import Callbacks as Callbacks
    from evoked.runs.base import Evaluation as Evaluation
    from evoked.runs.loading import load as load
    from evoked.runs.posts import Run as Run
    from evoked.runs.training import train as train
    from evoked.runs.viewings import NetworkRun as NetworkRun
    from evoked.runs.viewings import Viewing as Viewing
    from evoked.scoring.scorer import Scorer as Scorer
    from evoked.training.settings import TrainingSettings as TrainingSettings

    open = PostDataset

__version__ = "0.1.0"

# Loaded when first used, so that 'import evoked' and 'evoked --help' take no second.
_LAZY = {
    "Advice": "evoked.advice.advising",
    "Callbacks": "evoked.runs.base",
    "Draft": "evoked.posts.drafts",
    "Evaluation": "evoked.runs.base",
    "Examples": "evoked.models.base",
    "FeatureCache": "evoked.features.cache",
    "FeatureSettings": "evoked.features.catalog",
    "Hours": "evoked.advice.hours",
    "Model": "evoked.models.base",
    "ModelSettings": "evoked.models.base",
    "NetworkRun": "evoked.runs.viewings",
    "NeuralModel": "evoked.models.neural",
    "Plan": "evoked.advice.planning",
    "PostDataset": "evoked.posts.dataset",
    "Ranking": "evoked.advice.ranking",
    "Run": "evoked.runs.posts",
    "Scorer": "evoked.scoring.scorer",
    "Split": "evoked.evaluation.splits",
    "Study": "evoked.laboratory.study",
    "StudyCallbacks": "evoked.laboratory.study",
    "Tested": "evoked.advice.tested",
    "TrainingSettings": "evoked.training.settings",
    "Viewing": "evoked.runs.viewings",
    "advise": "evoked.advice.advising",
    "check_plan": "evoked.advice.tested",
    "import_posts": "evoked.posts.importing",
    "load": "evoked.runs.loading",
    "load_table": "evoked.experiments",
    "plan": "evoked.advice.planning",
    "synthesise": "evoked.posts.synthetic.posts",
    "rank": "evoked.advice.ranking",
    "train": "evoked.runs.training",
    "train_automatically": "evoked.laboratory.automatic",
    "when": "evoked.advice.hours",
}

__all__ = [
    "Advice",
    "Callbacks",
    "Draft",
    "Evaluation",
    "Examples",
    "FeatureCache",
    "FeatureSettings",
    "Hours",
    "Model",
    "ModelSettings",
    "NetworkRun",
    "NeuralModel",
    "Plan",
    "PostDataset",
    "Ranking",
    "Run",
    "Scorer",
    "Split",
    "Study",
    "StudyCallbacks",
    "Tested",
    "TrainingSettings",
    "Viewing",
    "advise",
    "check_plan",
    "import_posts",
    "load",
    "load_table",
    "open",
    "plan",
    "rank",
    "synthesise",
    "train",
    "train_automatically",
    "when",
]


def __getattr__(name: str) -> Any:
    if name == "open":
        return import_module("evoked.posts.dataset").PostDataset
    if name not in _LAZY:
        raise AttributeError(f"module 'evoked' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
