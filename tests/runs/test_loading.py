"""Loading runs of both kinds, models of one's own, and folders of other format versions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pytest

import evoked
from evoked.errors import DataError, SettingsError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.pipeline import PIPELINE_FILE
from evoked.files import read_json, write_json
from evoked.models.base import MODEL_FILE
from evoked.posts.dataset import PostDataset
from evoked.report import write_report
from evoked.runs.base import Callbacks
from evoked.runs.posts import Run
from evoked.runs.training import train_posts, train_viewings
from evoked.runs.viewings import NetworkRun
from evoked.training.records import EpochRecord
from tests.support.small_networks import create_network, network_tables
from tests.support.small_runs import by_hand


class MedianSettings(evoked.ModelSettings):
    """Settings of a model that evoked knows nothing of."""

    quantile: float = 0.5


class Median(evoked.Model):
    """Predicts a quantile of the training targets; defined here, as a user would define one."""

    name = "median"
    description = "the median of the training posts"
    Settings = MedianSettings

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.values: list[float] = []

    def fit(
        self,
        train: evoked.Examples,
        validation: evoked.Examples | None = None,
        *,
        folder: Path,
        training: evoked.TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        assert isinstance(self.settings, MedianSettings)
        learned = self._learn_targets(train)
        quantiles = np.nanquantile(learned, self.settings.quantile, axis=0)
        self.values = [float(value) for value in quantiles]
        return []

    def predict(self, examples: evoked.Examples) -> pd.DataFrame:
        return self._as_table(np.tile(np.array(self.values), (len(examples), 1)))

    def save(self, folder: Path) -> None:
        write_json(folder / MODEL_FILE, {**self._description(), "values": self.values})

    @classmethod
    def load(cls, folder: Path) -> Self:
        state = read_json(folder / MODEL_FILE)
        model = cls._from_description(state, folder / MODEL_FILE)
        model.values = state["values"]
        return model


class Nameless(Median):
    name = ""


class Impostor(Median):
    name = "linear"


@pytest.fixture(scope="module")
def own(dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a model class that evoked does not know."""
    return train_posts(
        dataset,
        Median,
        tmp_path_factory.mktemp("own") / "run",
        model_settings={"quantile": 0.25},
        split=by_hand(len(dataset), tests=25),
        estimate=False,
    )


def test_a_model_of_ones_own_is_trained_scored_saved_and_loaded(
    own: Run, dataset: PostDataset
) -> None:
    assert isinstance(own.model, Median)
    assert "median" in {row["model"] for row in own.metrics["scores"]}
    assert own.description["model"] == {"name": "median", "settings": {"quantile": 0.25}}
    loaded = evoked.load(own.folder, model=Median)
    assert isinstance(loaded, Run)
    pd.testing.assert_frame_equal(loaded.predict(dataset), own.predict(dataset))
    again = Run.load(own.folder, model=Median)
    pd.testing.assert_frame_equal(again.predict(dataset), own.predict(dataset))


def test_the_report_of_a_model_of_ones_own_says_how_to_repeat_it(
    own: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    page = write_report(own, dataset, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Median," in page
    assert "evoked train" not in page.split('id="repeat"')[1].split("</pre>")[0]


def test_a_model_of_ones_own_loads_only_with_its_class(own: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown kind 'median'.*load\(folder, model=MyModel\)"):
        evoked.load(own.folder)
    with pytest.raises(DataError, match="kind 'median', not 'linear' as Impostor is"):
        evoked.load(own.folder, model=Impostor)


def test_an_instance_is_trained_with_the_settings_it_has(
    dataset: PostDataset, tmp_path: Path
) -> None:
    model = Median(MedianSettings(quantile=0.75))
    split = by_hand(len(dataset), tests=25)
    run = evoked.train(dataset, model, tmp_path / "run", split=split, estimate=False)
    assert run.model is model
    loaded = evoked.load(tmp_path / "run", model=Median)
    assert loaded.model.settings == MedianSettings(quantile=0.75)
    with pytest.raises(SettingsError, match="model_settings, task: a model that is already built"):
        evoked.train(
            dataset,
            model,
            tmp_path / "other",
            model_settings={"quantile": 0.1},
            task="popularity",
        )
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [(Nameless, "Nameless needs a name"), (Impostor, "Impostor has the name 'linear'")],
)
def test_a_class_whose_folder_could_not_say_what_it_is_is_refused(
    model: type[evoked.Model], message: str, dataset: PostDataset, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=message):
        evoked.train(dataset, model, tmp_path / "run")


class Watched:
    """Names the epochs that training reports."""

    seen: ClassVar[list[int]] = []

    @classmethod
    def callbacks(cls) -> Callbacks:
        cls.seen.clear()
        return Callbacks(epoch=lambda record: cls.seen.append(int(record["epoch"])))


def test_epochs_replace_those_of_the_training_settings(
    dataset: PostDataset, tmp_path: Path
) -> None:
    training = evoked.TrainingSettings(max_epochs=9, batch_size=16, device="cpu")
    run = evoked.train(
        dataset,
        "abmf",
        tmp_path / "run",
        model_settings={"width": 16},
        training=training,
        epochs=1,
        split=by_hand(len(dataset), tests=25),
        estimate=False,
        callbacks=Watched.callbacks(),
    )
    assert Watched.seen == [1]
    assert run.description["training"]["max_epochs"] == 1
    assert run.description["training"]["batch_size"] == 16
    with pytest.raises(SettingsError, match="epochs: max_epochs"):
        evoked.train(dataset, out=tmp_path / "other", epochs=0)


@pytest.fixture(scope="module")
def network_run(tmp_path_factory: pytest.TempPathFactory) -> NetworkRun:
    folder = tmp_path_factory.mktemp("network")
    network = create_network(folder / "data", network_tables())
    return train_viewings(network, "user_mean", folder / "run", cache=FeatureCache(folder / "c"))


def test_load_knows_runs_of_posts_and_of_viewings(own: Run, network_run: NetworkRun) -> None:
    loaded = evoked.load(network_run.folder)
    assert isinstance(loaded, NetworkRun)
    viewing = evoked.Viewing("u1", "p2")
    pd.testing.assert_frame_equal(loaded.predict([viewing]), network_run.predict([viewing]))
    with pytest.raises(DataError, match=r"a run of viewings .*evoked\.load\(folder\)"):
        Run.load(network_run.folder)
    with pytest.raises(DataError, match=r"a run of posts .*evoked\.load\(folder\)"):
        NetworkRun.load(own.folder, model=Median)


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_other_format_versions_are_refused(
    version: object, own: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    folder = shutil.copytree(own.folder, tmp_path / "run")
    description = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert description.pop("format_version") == 1
    if version is not None:
        description["format_version"] = version
    write_json(folder / "run.json", description)
    message = (
        rf"run\.json: format version {version!r}; this release reads version 1\. Train the run "
        "again in a new folder, or install the release that wrote it"
    )
    with pytest.raises(DataError, match=message):
        evoked.load(folder, model=Median)


def test_a_run_that_another_version_began_is_not_gone_on_with(
    own: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    folder = shutil.copytree(own.folder, tmp_path / "run")
    plan = read_json(folder / "training" / "plan.json")
    write_json(folder / "training" / "plan.json", {**plan, "format_version": 0})
    with pytest.raises(DataError, match=r"plan\.json: format version 0"):
        evoked.train(
            dataset,
            Median,
            folder,
            model_settings={"quantile": 0.25},
            split=by_hand(len(dataset), tests=25),
            estimate=False,
        )


def test_runs_and_scores_print_what_they_are(
    own: Run, network_run: NetworkRun, dataset: PostDataset
) -> None:
    assert repr(own) == (
        f"Run('{own.folder}', model=Median(quantile=0.25), task='emotion_engagement', posts=60)"
    )
    assert repr(network_run) == (
        f"NetworkRun('{network_run.folder}', model=UserMean(), task='emotion', "
        f"viewings={len(network_run.parts)})"
    )
    assert repr(own.evaluate(dataset)).startswith(
        "Evaluation(models=['median', 'mean', 'author_mean', 'category_mean', 'recent_posts'], "
        "posts=25, excluded=35, split='By hand.'"
    )
    assert repr(by_hand(60, tests=25)) == (
        "Split('random', train=30, validation=5, calibration=0, test=25)"
    )


def test_runs_made_with_descriptors_as_the_builtin_encoder_still_predict(tmp_path: Path) -> None:
    posts = evoked.synthesise(tmp_path / "posts", n=40, seed=1)
    run = train_posts(
        posts,
        "linear",
        out=tmp_path / "run",
        features=FeatureSettings(image_encoder="descriptors"),
        cache=FeatureCache(tmp_path / "cache"),
    )
    for file, key in ((MODEL_FILE, "features"), (PIPELINE_FILE, "settings")):
        state = read_json(run.folder / file)
        state[key] |= {"image_encoder": "builtin", "object_encoder": "builtin"}
        write_json(run.folder / file, state)
    loaded = evoked.load(run.folder)
    assert isinstance(loaded, Run)
    pd.testing.assert_frame_equal(loaded.predict(posts), run.predict(posts))
    assert loaded.model.feature_settings.image_encoder == "descriptors"
