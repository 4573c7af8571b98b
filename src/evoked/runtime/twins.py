"""The export of a run that lies in the run's own folder, and answers in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evoked.runtime.digests import run_digest
from evoked.runtime.folder import MANIFEST_FILE, ExportFolder
from evoked.runtime.scoring import ExportedRun

TWIN_FOLDER = "export"


def twin_of(run_folder: Path, note: Callable[[str], None]) -> ExportedRun | None:
    """The export in a run's folder ``export``; None if there is none, or none of the run as it is.

    Parameters
    ----------
    run_folder
        The run's folder.
    note
        Called with a sentence if the run has changed since it was exported.

    Raises
    ------
    DataError
        The export is damaged, or was altered.
    """
    folder = run_folder / TWIN_FOLDER
    if not (folder / MANIFEST_FILE).is_file():
        return None
    export = ExportFolder.read(folder)
    if export.manifest["run"].get("digest") != run_digest(run_folder):
        note(
            f"The run has changed since it was exported, so {folder} is not used: "
            f"'evoked export {run_folder} {folder}' makes it anew."
        )
        return None
    return ExportedRun(export, once=True)
