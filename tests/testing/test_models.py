"""The checks of models on classes that are not registered: good ones pass, bad ones are found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from evoked.features.table import Batch, FeatureTable
from evoked.files import read_json, write_json
from evoked.models.base import MODEL_FILE, Examples, Model, ModelSettings
from evoked.models.explanations import PostAttention
from evoked.models.neural import NeuralModel
from evoked.testing import check_model
from evoked.testing import models as checks
from evoked.testing.models import CHECKS, POST_CHECKS, VIEWING_CHECKS, Check, ModelCase
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings


class ShrunkSettings(ModelSettings):
    shrink: float = 0.0


class ShrunkMean(Model):
    """The mean of the training posts, shrunk towards the lowest value."""

    name = "shrunk_mean"
    description = "the mean of the training posts, shrunk"
    tasks = ("emotion_engagement", "level")
    test_settings: ClassVar[dict[str, Any]] = {"shrink": 0.25}
    Settings = ShrunkSettings

    settings: ShrunkSettings

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.means: list[float] = []

    @property
    def features(self) -> list[str]:
        return ["image.vector"]

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        values = self._learn_targets(train)
        self.widths = {name: train.features.widths[name] for name in self.features}
        self.means = pd.DataFrame(values).mean().fillna(0.0).tolist()
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        lowest = np.array([self.task.bounds(name)[0] for name in self.targets])
        share = 0.0 if self.rows == "viewings" else self.settings.shrink
        shrunk = (1 - share) * np.array(self.means) + share * lowest
        return self._as_table(np.tile(shrunk, (len(examples), 1)))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {**self._description(), "widths": self.widths, "means": self.means}
        write_json(folder / MODEL_FILE, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        description = read_json(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        model.widths, model.means = description["widths"], description["means"]
        return model


class ShrunkShares(ShrunkMean):
    """The same for viewings; they sum to one, so they are not shrunk."""

    name = "shrunk_shares"
    tasks = ("emotion",)
    rows = "viewings"


class LogisticNetwork(nn.Module):
    """Logistic regression on the picture's vector, from a bad start."""

    def __init__(self, width: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.line = nn.Linear(width, 1)
        nn.init.constant_(self.line.bias, 3.0)

    def forward(self, batch: Batch) -> Tensor:
        return torch.sigmoid(self.line(batch["image.vector"]))

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        losses = functional.binary_cross_entropy(predicted, targets.nan_to_num(), reduction="none")
        return (weights * losses).sum() / weights.sum().clamp_min(1e-6)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": self.rate}]


class Logistic(NeuralModel):
    """A network that learns whether a post is popular."""

    name = "logistic"
    description = "logistic regression on the picture"
    tasks = ("author_popularity",)
    rate = 0.1

    @property
    def features(self) -> list[str]:
        return ["image.vector"]

    def build(self, widths: dict[str, int]) -> nn.Module:
        return LogisticNetwork(widths["image.vector"], self.rate)


@pytest.mark.parametrize("kind", [ShrunkMean, ShrunkShares, Logistic])
def test_good_model_passes_without_being_registered(kind: type[Model], tmp_path: Path) -> None:
    check_model(kind, tmp_path=tmp_path)


def test_one_task_can_be_chosen() -> None:
    check_model(ShrunkMean, "level")


def unknown(table: pd.DataFrame, rows: Any) -> pd.DataFrame:
    """The table with NaN in some rows, or in all."""
    bad = np.broadcast_to(np.asarray(rows), len(table))
    return table.mask(np.repeat(bad[:, None], table.shape[1], axis=1))


class Undescribed(ShrunkMean):
    description = ""


class Anonymous(ShrunkMean):
    def __repr__(self) -> str:
        return object.__repr__(self)


class PredictsUnfitted(ShrunkMean):
    def predict(self, examples: Examples) -> pd.DataFrame:
        if not self.means:
            return pd.DataFrame(0.5, examples.posts.index, self.targets)
        return super().predict(examples)


class LearnsFromNothing(ShrunkMean):
    def fit(self, train: Examples, *arguments: Any, **keywords: Any) -> list[EpochRecord]:
        if train.targets is None or not np.isfinite(train.targets.values).any():
            return []
        return super().fit(train, *arguments, **keywords)


class OffScale(ShrunkMean):
    def predict(self, examples: Examples) -> pd.DataFrame:
        return super().predict(examples) + 100


class LosesRows(ShrunkMean):
    def predict(self, examples: Examples) -> pd.DataFrame:
        return super().predict(examples).head(500)


class LooksAtNeighbours(ShrunkMean):
    def predict(self, examples: Examples) -> pd.DataFrame:
        return super().predict(examples) * (0.5 + 0.5 / len(examples))


class LoadsAnother(ShrunkMean):
    @classmethod
    def load(cls, folder: Path) -> Self:
        model = super().load(folder)
        model.means = [0.9 * mean for mean in model.means]
        return model


class SavesCode(ShrunkMean):
    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "model.pkl").write_bytes(b"")


class Unseeded(ShrunkMean):
    def fit(self, *arguments: Any, **keywords: Any) -> list[EpochRecord]:
        super().fit(*arguments, **keywords)
        self.means = [mean * np.random.default_rng().uniform(0.5, 1) for mean in self.means]
        return []


class NeverLearns(Logistic):
    rate = 0.0


class TakesAnyWidth(ShrunkMean):
    def check_features(self, features: FeatureTable) -> None:
        if not self.known_targets:
            super().check_features(features)


class AttendsToNothing(ShrunkMean):
    def attention(self, examples: Examples) -> list[PostAttention]:
        return []


class AttendsTooMuch(ShrunkMean):
    def attention(self, examples: Examples) -> list[PostAttention]:
        return [PostAttention(tokens=np.ones(2, np.float32))] * len(examples)


class HalfImportant(ShrunkMean):
    def feature_importance(self) -> pd.DataFrame:
        row = {"feature": ["image.vector 0"], "modality": ["image"]}
        return pd.DataFrame({**row, "importance": [50.0], "shap": [50.0]})


class ForgetsATarget(ShrunkMean):
    def predict(self, examples: Examples) -> pd.DataFrame:
        table = super().predict(examples)
        return table.assign(**{self.targets[-1]: np.nan})


class NeedsKnownAuthors(ShrunkMean):
    def predict(self, examples: Examples) -> pd.DataFrame:
        strange = (examples.posts["author_id"] == "somebody new").to_numpy()
        return unknown(super().predict(examples), strange)


class InventsTargets(ShrunkMean):
    def predict(self, examples: Examples) -> pd.DataFrame:
        return super().predict(examples).fillna(0.5)


class NeedsTwoPosts(ShrunkMean):
    def fit(self, train: Examples, *arguments: Any, **keywords: Any) -> list[EpochRecord]:
        super().fit(train, *arguments, **keywords)
        if len(train) == 1:
            self.means = [np.nan] * len(self.means)
        return []


class NeedsDifferences(ShrunkMean):
    def fit(self, train: Examples, *arguments: Any, **keywords: Any) -> list[EpochRecord]:
        super().fit(train, *arguments, **keywords)
        assert train.targets is not None
        if len(train) > 1 and len(np.unique(train.targets.values)) == 1:
            self.means = [np.nan] * len(self.means)
        return []


class NeedsPictures(ShrunkShares):
    def predict(self, examples: Examples) -> pd.DataFrame:
        absent = ~examples.features.columns["image.vector"].present
        return unknown(super().predict(examples), absent)


class LearnsFromPictures(ShrunkShares):
    def fit(self, train: Examples, *arguments: Any, **keywords: Any) -> list[EpochRecord]:
        super().fit(train, *arguments, **keywords)
        if not train.features.columns["image.vector"].present.any():
            self.means = [np.nan] * len(self.means)
        return []


class NeedsKnownUsers(ShrunkShares):
    def predict(self, examples: Examples) -> pd.DataFrame:
        strange = (examples.posts["user"] < 0) & (examples.posts["image"] < 0)
        return unknown(super().predict(examples), strange)


class NeedsConnections(ShrunkShares):
    def predict(self, examples: Examples) -> pd.DataFrame:
        graph = examples.graph
        bad = graph is not None and not graph.connections.shape[1]
        return unknown(super().predict(examples), bad)


class NeedsViewings(ShrunkShares):
    def predict(self, examples: Examples) -> pd.DataFrame:
        graph = examples.graph
        bad = graph is not None and not graph.viewings.shape[1]
        return unknown(super().predict(examples), bad)


class NeedsTwoViewings(ShrunkShares):
    def fit(self, train: Examples, *arguments: Any, **keywords: Any) -> list[EpochRecord]:
        super().fit(train, *arguments, **keywords)
        if len(train) == 1:
            self.means = [np.nan] * len(self.means)
        return []


def turned(table: pd.DataFrame, rows: Any) -> pd.DataFrame:
    """The shares of the emotions in reverse where ``rows``."""
    reverse = table.set_axis(table.columns[::-1], axis=1)[table.columns]
    return table.where(~unknown(table, rows).isna(), reverse)


class ReadsTheAnswer(ShrunkShares):
    def predict(self, examples: Examples) -> pd.DataFrame:
        table = super().predict(examples)
        if "emotion" not in examples.posts:
            return table
        return turned(table, examples.posts["emotion"] == "sadness")


class ReadsTheComment(ShrunkShares):
    def predict(self, examples: Examples) -> pd.DataFrame:
        said = examples.posts["comment"] == "how sad"
        return turned(super().predict(examples), said)


class HidesLeakage(ShrunkShares):
    @property
    def features(self) -> list[str]:
        return ["image.vector", "viewing.comment"]


class NeedsAGraph(ShrunkShares):
    def predict(self, examples: Examples) -> pd.DataFrame:
        return unknown(super().predict(examples), examples.graph is None)


BAD: list[tuple[Check, type[Model]]] = [
    (checks.check_describes_itself, Undescribed),
    (checks.check_repr_is_its_recipe, Anonymous),
    (checks.check_unfitted_model_says_so, PredictsUnfitted),
    (checks.check_refuses_to_learn_from_nothing, LearnsFromNothing),
    (checks.check_predicts_every_target_on_its_scale, OffScale),
    (checks.check_predicts_any_number_of_examples, LosesRows),
    (checks.check_prediction_does_not_depend_on_other_examples, LooksAtNeighbours),
    (checks.check_saved_and_loaded_model_predicts_the_same, LoadsAnother),
    (checks.check_saved_and_loaded_model_predicts_the_same, SavesCode),
    (checks.check_two_fits_with_one_seed_are_equal, Unseeded),
    (checks.check_loss_falls, NeverLearns),
    (checks.check_refuses_features_of_another_width, TakesAnyWidth),
    (checks.check_attention_is_a_share, AttendsToNothing),
    (checks.check_attention_is_a_share, AttendsTooMuch),
    (checks.check_importance_is_in_percent, HalfImportant),
    (checks.check_predictions_lead_to_every_outcome, ForgetsATarget),
    (checks.check_survives_posts_without_anything, NeedsKnownAuthors),
    (checks.check_target_without_known_values_is_not_predicted, InventsTargets),
    (checks.check_learns_from_one_post, NeedsTwoPosts),
    (checks.check_learns_from_equal_targets, NeedsDifferences),
    (checks.check_survives_absent_features, NeedsPictures),
    (checks.check_learns_without_any_feature, LearnsFromPictures),
    (checks.check_survives_strangers_alone, NeedsKnownUsers),
    (checks.check_survives_a_graph_without_connections, NeedsConnections),
    (checks.check_survives_a_graph_without_viewings, NeedsViewings),
    (checks.check_learns_from_one_viewing, NeedsTwoViewings),
    (checks.check_never_reads_the_emotion_of_the_viewing_itself, ReadsTheAnswer),
    (checks.check_never_reads_the_comment_of_the_viewing_itself, ReadsTheComment),
    (checks.check_warns_about_the_own_comment, HidesLeakage),
    (checks.check_without_a_graph_it_predicts_or_asks_for_one, NeedsAGraph),
]


def test_every_check_has_a_bad_model() -> None:
    assert {check for check, _ in BAD} == {*CHECKS, *POST_CHECKS, *VIEWING_CHECKS}


@pytest.mark.parametrize(("check", "kind"), BAD, ids=lambda value: value.__name__)
def test_bad_model_is_found(check: Check, kind: type[Model], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(ModelCase.of(kind, folder=tmp_path))


def test_a_failure_names_the_property_that_does_not_hold() -> None:
    with pytest.raises(AssertionError) as caught:
        check_model(OffScale, "level")
    notes = "".join(caught.value.__notes__)
    assert "OffScale on level" in notes
    assert "within the bounds" in notes


def test_every_check_states_its_property() -> None:
    for check in (*CHECKS, *POST_CHECKS, *VIEWING_CHECKS):
        assert check.__doc__
        assert check.__doc__.rstrip().endswith(".")


def test_importing_it_needs_neither_torch_nor_pytest() -> None:
    code = "import sys, evoked.testing; assert not {'torch', 'pytest'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_checks_fail_under_optimisation_too() -> None:
    code = "from evoked.testing.failures import require\nrequire(False, 'found')"
    done = subprocess.run(
        [sys.executable, "-O", "-c", code],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert "AssertionError: found" in done.stderr


class TestRecipe:
    def test_names_the_settings_and_task_that_differ(self) -> None:
        assert repr(ShrunkMean()) == "ShrunkMean()"
        assert repr(ShrunkMean(ShrunkSettings(shrink=0.2))) == "ShrunkMean(shrink=0.2)"
        assert repr(ShrunkMean(task="level")) == "ShrunkMean(task='level')"


class Attentive(ShrunkMean):
    def attention(self, examples: Examples) -> list[PostAttention]:
        return [PostAttention(tokens=np.full(2, 0.5, np.float32))] * len(examples)

    def feature_importance(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "feature": ["image.vector 0", "image.vector 1", "caption length"],
                "modality": ["image", "image", "text"],
                "importance": [50.0, 25.0, 25.0],
                "shap": [60.0, 30.0, 10.0],
            }
        )


def test_what_a_model_measures_is_checked_and_summed(tmp_path: Path) -> None:
    check_model(Attentive, "level", tmp_path)
    table = Attentive().modality_importance()
    assert table is not None
    assert table["modality"].tolist() == ["image", "text"]
    assert table["features"].tolist() == [2, 1]
    assert table["shap"].tolist() == [90.0, 10.0]
    assert ShrunkMean().modality_importance() is None
