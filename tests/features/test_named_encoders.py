"""Encoders that a run names are not fetched, and folders that it names not read, unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evoked.errors import DataError, SettingsError
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders import _checkpoints
from evoked.features.named_encoders import (
    allowing_others,
    check_named_encoders,
    remember_encoders,
)

FILE = Path("features.json")


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOKED_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("text_encoder", "transformers:attacker/model"),
        ("text_encoder", "transformers:attacker/pretrained=false"),
        ("text_encoder", "transformers:attacker/model?pretrained=false"),
        ("image_encoder", "transformers:attacker/model"),
        ("image_encoder", "timm:attacker/model"),
        ("image_encoder", "timm:attacker/model?pretrained=false"),
        ("image_encoder", "timm:hf-hub:attacker/model?pretrained=false"),
        ("image_encoder", "timm:hf_hub:attacker/model?pretrained=false"),
        ("image_encoder", "timm:local-dir:/etc?pretrained=false"),
        ("text_encoder", "transformers:/etc"),
        ("text_encoder", "transformers:../folder"),
        ("text_encoder", "transformers:~/folder"),
        ("image_encoder", "torchvision:/srv/resnet18-1.pth?pretrained=false"),
        ("face_encoder", "fer:model.hdf5"),
    ],
)
def test_what_is_not_here_is_refused_unless_it_is_asked_for(field: str, name: str) -> None:
    settings = FeatureSettings.model_validate({field: name})
    with pytest.raises(DataError, match=r"features\.json: names the encoder .*--allow-download"):
        check_named_encoders(settings, FILE)
    with allowing_others(True):
        check_named_encoders(settings, FILE)
    with pytest.raises(DataError):
        check_named_encoders(settings, FILE)


def test_what_is_installed_needs_no_question() -> None:
    check_named_encoders(FeatureSettings(), FILE)
    check_named_encoders(FeatureSettings(image_encoder="timm:resnet18?pretrained=false"), FILE)


def test_a_folder_that_a_person_named_is_known_from_then_on(tmp_path: Path) -> None:
    own = FeatureSettings(text_encoder=f"transformers:{tmp_path}/own")
    remember_encoders(own)
    check_named_encoders(own, FILE)
    other = FeatureSettings(text_encoder=f"transformers:{tmp_path}/other")
    with pytest.raises(DataError):
        check_named_encoders(other, FILE)


def test_a_cache_that_can_not_be_written_keeps_nobody_from_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EVOKED_CACHE", str(tmp_path / "file"))
    own = FeatureSettings(text_encoder=f"transformers:{tmp_path}/own")
    remember_encoders(own)
    with pytest.raises(DataError):
        check_named_encoders(own, FILE)


def test_a_model_in_the_local_cache_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "hub" / "models--somebody--model"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(
        "huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hub")
    )
    settings = FeatureSettings(text_encoder="transformers:somebody/model")
    check_named_encoders(settings, FILE)
    assert _checkpoints.cached_checkpoint("somebody/model") == snapshot


@pytest.mark.parametrize(
    "shard", ["w.bin", "../other/w.safetensors", "/etc/w.safetensors", 3, None]
)
def test_an_index_names_only_safetensors_beside_it(shard: object, tmp_path: Path) -> None:
    (tmp_path / "model-1.safetensors").write_bytes(b"")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    assert _checkpoints.checkpoint_folder(str(tmp_path)) == tmp_path
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": shard}}))
    with pytest.raises(SettingsError, match="plain name of a safetensors file"):
        _checkpoints.checkpoint_folder(str(tmp_path))


def test_no_code_of_the_hub_computes_attention(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"attn_implementation": "evil/kernel"}')
    with pytest.raises(SettingsError, match="never run"):
        _checkpoints.checkpoint_folder(str(tmp_path))
