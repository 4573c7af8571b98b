"""Names of encoders in settings, and in files of earlier releases."""

from __future__ import annotations

from evoked.features.catalog import FeatureSettings


def test_builtin_is_replaced_by_its_name() -> None:
    settings = FeatureSettings(image_encoder="builtin", object_encoder="builtin")
    assert settings == FeatureSettings()
    assert "builtin" not in (settings.image_encoder, settings.object_encoder)
    assert FeatureSettings(image_encoder="lite2").image_encoder == "lite2"


def test_saved_settings_mean_what_they_meant() -> None:
    settings = FeatureSettings(image_encoder="timm:resnet50")
    assert FeatureSettings.from_saved(settings.model_dump(mode="json")) == settings
    assert FeatureSettings.from_saved(FeatureSettings().model_dump()) == FeatureSettings()
    earlier = FeatureSettings.from_saved({"image_encoder": "builtin", "object_encoder": "builtin"})
    assert earlier.image_encoder == "descriptors"
    assert earlier.object_encoder == "salient"
