"""The contract that every registered model of viewings fulfils; a new one is tested by being
registered.

The checks are :mod:`evoked.testing.models`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evoked.models import MODELS, load_model
from evoked.models.viewing_boosting import ViewingBoosting
from evoked.testing.models import Check, ModelCase, checks_of
from evoked.training import TrainingSettings

NAMES = sorted(name for name, model in MODELS.items() if model.rows == "viewings")
CHECKS = checks_of(ViewingBoosting)


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelCase:
    """A model that is fitted once for all checks that don't change it."""
    kind = MODELS[request.param]
    for package in kind.needs:
        pytest.importorskip(package)
    return ModelCase.of(kind, folder=tmp_path_factory.mktemp(kind.name))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(case: ModelCase, check: Check) -> None:
    check(case)


def test_predicts_eight_emotions(case: ModelCase) -> None:
    assert case.fitted.predict(case.test).shape == (len(case.test), 8)


def test_registered_model_is_loaded_by_its_name(case: ModelCase, tmp_path: Path) -> None:
    case.fitted.save(tmp_path)
    assert type(load_model(tmp_path)) is case.kind
    assert MODELS[case.kind.name] is case.kind


@pytest.mark.parametrize("name", ["hmg_emo", "comments_only", "abmf"])
def test_training_is_the_models_own_where_nobody_says_otherwise(name: str) -> None:
    kind = MODELS[name]
    assert (kind.default_training == TrainingSettings()) == (kind.rows == "posts")
