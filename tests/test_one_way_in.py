"""Files of others are read in one way: within bounds, and checked.

Whatever reads JSON or Parquet, or makes a path of a picture's name, does so in the few places
below.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "evoked"
# What is looked for, and the files that may do it, with the reason.
ONE_WAY = {
    # Our own files, which the package brings along, and a header whose length is known.
    r"json\.loads?\(": {
        "files.py",
        "models/catalogue.py",
        "models/_symmetric_trees.py",
        "features/encoders/_sessions.py",
        "testing/tasks.py",
    },
    r"read_parquet\(|ParquetFile\(|pq\.read_|parquet\.read_table": {"parquet.py"},
    r"\bpickle\.|joblib|torch\.load\((?!.*weights_only=True)": set(),
    r"yaml\.(unsafe_|full_|Unsafe|Full|Loader)": set(),
    # Which locks only what check_image_names let through, and no links.
    r"image_folder\s*/": {"posts/privacy/image_locking.py"},
    r"IMAGE_FOLDER\b": {"posts/dataset.py"},
    # To places of our own: a demo's folder, a new copy's folder, a test's.
    r"shutil\.copy": {
        "files.py",
        "cli/demo.py",
        "posts/privacy/encrypted_fields.py",
        "serve/uploads.py",  # from a request into a folder of its own
        "testing/readers.py",
    },
    r"os\.link\(|os\.symlink\(|symlink_to\(": {"files.py"},
    # A workbook's sheet becomes a CSV file for our own reader, and goes again.
    r"\.to_csv\(|csv\.writer": {"files.py", "posts/readers/xlsx_file.py"},
    r"trust_remote_code=True": set(),
    r"snapshot_download\(|download_url_to_file\(|urlopen|requests\.": {
        "features/encoders/_checkpoints.py",
        "features/encoders/pretrained_image.py",
    },
    r"(?<!safe_)Console\(": {"cli/application.py"},
}


@pytest.mark.parametrize("pattern", ONE_WAY)
def test_nothing_is_read_or_written_another_way(pattern: str) -> None:
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert found <= ONE_WAY[pattern]
