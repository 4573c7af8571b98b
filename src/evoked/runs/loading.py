"""Loading a run of either kind."""

from __future__ import annotations

from pathlib import Path

from evoked.features.cache import FeatureCache
from evoked.models import Model
from evoked.runs.folder import load_contents
from evoked.runs.posts import Run
from evoked.runs.viewings import NetworkRun


def load(
    folder: Path | str,
    cache: FeatureCache | None = None,
    *,
    model: type[Model] | None = None,
    allow_download: bool = False,
) -> Run | NetworkRun:
    """Load a run, be it of posts or of viewings; nothing in its folder is executed.

    Parameters
    ----------
    folder
        The folder that ``evoked train`` or :func:`evoked.train` made.
    cache
        Where extracted features are kept; the user's cache folder by default.
    model
        Class of the run's model, if that is one of your own. A folder can't name code to run, so
        evoked doesn't look for the class itself.
    allow_download
        Fetch encoders that the run names, and read them from whatever folder it names. By default
        it leads only to what is installed, to hub models in the local cache, and to folders that
        a run was trained with on this machine.

    Returns
    -------
    Run or NetworkRun
        A run of posts or of viewings, whichever the folder holds.

    Raises
    ------
    DataError
        The folder holds no finished run, or one of another format version, or its model is neither
        one of evoked's nor the given one.

    Examples
    --------
    >>> evoked.load("my_run").predict([evoked.Draft(caption="Hello")])   # doctest: +SKIP
    """
    contents = load_contents(folder, model, allow_download=allow_download)
    if contents.model.rows == "viewings":
        return NetworkRun.with_graph(contents, cache)
    return Run.with_history(contents, cache)
