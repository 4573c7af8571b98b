"""The desk itself: what its pages and its interface for programs both do."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evoked.errors import DataError, EvokedError, SettingsError
from evoked.features.cache import FeatureCache
from evoked.files import parse_json, plain, read_bounded, records
from evoked.posts.draft_tables import TABLE_SUFFIXES
from evoked.posts.drafts import Draft
from evoked.serve.database import prepare, transaction
from evoked.serve.jobs import Job, Jobs, Step
from evoked.serve.library import DATASETS_FOLDER, RUNS_FOLDER, DatasetEntry, Library, RunEntry
from evoked.serve.network_cache import Networks
from evoked.serve.places import Places
from evoked.serve.problems import RefusalError
from evoked.serve.settings import DeskSettings
from evoked.serve.uploads import Upload, Uploads
from evoked.serve.worker import start_worker

if TYPE_CHECKING:
    import pandas as pd

    from evoked.advice import Ranking
    from evoked.explain import Explanation
    from evoked.scoring import Scorer

ANSWERS_HOURS = 24.0
_SECONDS_BETWEEN_CLEANINGS = 600.0
_SECONDS_BETWEEN_LOOKS = 1.0
_MOST_RESULT_BYTES = 64 * 2**20
# Fields that a mapping may name are the importer's own words.
_READING = "reading"
IMPORT, TABLE, WORKS = "import", "table", "works"
_ANALYSIS = "analysis"


class Desk:
    """A desk: its library, uploads and jobs.

    Parameters
    ----------
    settings
        What it is started with.
    """

    def __init__(self, settings: DeskSettings) -> None:
        settings.check()
        self.settings, self.limits = settings, settings.limits
        data = settings.data.resolve()
        prepare(data)
        for name in (RUNS_FOLDER, DATASETS_FOLDER):
            (data / name).mkdir(exist_ok=True)
        self.data = data
        self.jobs = Jobs(data, self.limits)
        self.uploads = Uploads(data, self.limits)
        self.places = Places(data, settings.runs)
        self.library = Library(data, settings.runs, FeatureCache(settings.cache))
        self.networks = Networks()
        self.warm = threading.Event()
        # Between finding a free name and queueing the job that takes it, nobody else looks.
        self._naming = threading.Lock()
        self._stopped = threading.Event()
        self._keeper: threading.Thread | None = None

    # What goes on while the desk is open.

    def open(self, *, worker: bool = True) -> None:
        """Load the newest run, start the worker, and keep both and the uploads in order."""
        self._stopped.clear()
        threading.Thread(target=self._warm_up, daemon=True).start()
        self._keeper = threading.Thread(target=self._keep, args=(worker,), daemon=True)
        self._keeper.start()

    def close(self) -> None:
        """Stop the worker; a step that runs goes on, and is taken up by the next worker."""
        self._stopped.set()
        if self._keeper is not None:
            self._keeper.join(timeout=10)

    def _warm_up(self) -> None:
        # A run that is damaged says so when it is asked for.
        with suppress(EvokedError, OSError):
            run = self.library.run("")
            if run is not None:
                self.library.scorer(run).score([Draft()])
        self.warm.set()

    def _keep(self, worker: bool) -> None:
        process, cleaned = None, 0.0
        while not self._stopped.wait(_SECONDS_BETWEEN_LOOKS if process or not worker else 0):
            if worker and (process is None or process.poll() is not None):
                process = start_worker(self.data, self.limits)
            if time.monotonic() - cleaned > _SECONDS_BETWEEN_CLEANINGS or not cleaned:
                cleaned = time.monotonic()
                self.clean()
        if process is not None:
            process.terminate()
            process.wait()

    def clean(self) -> None:
        """Delete uploads, and answers to idempotency keys, that are old."""
        in_use = [
            str(job.facts.get("upload"))
            for job in self.jobs.undone()
            if not job.has_ended and job.facts.get("upload")
        ]
        self.uploads.delete_old(in_use)
        with transaction(self.data) as connection:
            oldest = time.time() - 3600 * ANSWERS_HOURS
            connection.execute("DELETE FROM answers WHERE created < ?", (oldest,))

    # Runs.

    def run(self, name: str) -> RunEntry:
        """A run by its name; the newest where the name is empty."""
        found = self.library.run(name)
        if found is None:
            raise RefusalError(
                404, f"there is no run {name!r}." if name else "there is no run yet."
            )
        return found

    def run_of_posts(self, run: RunEntry | str) -> RunEntry:
        """A run of posts, or the one of a name; the newest where the name is empty."""
        run = self.run(run) if isinstance(run, str) else run
        if not run.of_posts:
            raise RefusalError(422, f"the run {run.name!r} is of viewings; it scores no drafts.")
        return run

    def choice_of_runs(self, name: str) -> tuple[list[RunEntry], RunEntry | None]:
        """The runs of posts, and the one of a name; the newest where the name is empty, None where
        there is none."""
        runs = self.library.runs_of_posts()
        if not name:
            return runs, next(iter(runs), None)
        return runs, next((run for run in runs if run.name == name), None) or self.run_of_posts(
            name
        )

    def scorer(self, run: RunEntry | str) -> Scorer:
        """The scorer of a run of posts, or of the one of a name."""
        return self.library.scorer(self.run_of_posts(run))

    def dataset(self, name: str) -> DatasetEntry:
        """A dataset by its name."""
        found = self.library.dataset(name)
        if found is None:
            raise RefusalError(404, f"there is no dataset {name[:60]!r}.")
        return found

    # Drafts.

    def row(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The row of a draft for the scorer: ``picture``, the id of one that was brought, becomes
        the path of its file.

        Raises
        ------
        RefusalError
            There is no such picture.
        """
        row = {name: value for name, value in facts.items() if value is not None}
        identifier = row.pop("picture", None)
        if identifier is not None:
            path = self.uploads.picture(str(identifier))
            if path is None:
                raise RefusalError(
                    404, f"there is no picture {str(identifier)[:40]!r} (any more). Bring it again."
                )
            row["image"] = path
        return row

    def score(
        self, run: RunEntry | str, drafts: Sequence[Mapping[str, Any]], coverage: float
    ) -> pd.DataFrame:
        """Score drafts: see :meth:`evoked.Scorer.score`."""
        return self.scorer(run).score([self.row(facts) for facts in drafts], coverage=coverage)

    def rank(
        self,
        run: RunEntry | str,
        drafts: Sequence[Mapping[str, Any]],
        by: str | None,
        coverage: float,
    ) -> Ranking:
        """Put drafts in order: see :func:`evoked.rank`."""
        from evoked.advice import rank

        scorer = self.scorer(run)
        found = [scorer.draft(self.row(facts), n) for n, facts in enumerate(drafts, start=1)]
        with scorer.turn:
            return rank(scorer.run, found, by, coverage)

    def explain(
        self, run: RunEntry | str, facts: Mapping[str, Any]
    ) -> tuple[Explanation, dict[str, dict[str, str]]]:
        """Explain a draft, beside the past posts most like it where they still lie there; and its
        pictures by what they show: address, caption, and the text for who can't see them."""
        from evoked.explain import explain
        from evoked.explain.drawing import pictures
        from evoked.explain.figures import to_png

        entry = self.run_of_posts(run)
        scorer = self.scorer(entry)
        draft = scorer.draft(self.row(facts), 1)
        with scorer.turn:
            explanation = explain(scorer.run, draft, self.library.dataset_of(entry))
            drawn = {each.name: each for each in pictures(explanation)}
            images = {name: to_png(each.figure) for name, each in drawn.items()}
        identifier = self.uploads.add_made({f"{name}.png": each for name, each in images.items()})
        return explanation, {
            name: {
                "address": f"/api/v1/explanations/{identifier}/{name}.png",
                "caption": each.caption,
                "alternative": each.alternative,
            }
            for name, each in drawn.items()
        }

    # Jobs.

    def upload(self, identifier: str) -> Upload:
        """What somebody brought, by its id."""
        found = self.uploads.get(identifier)
        if found is None:
            raise RefusalError(404, "that upload is not there (any more). Bring it again.")
        return found

    def job(self, identifier: str) -> Job:
        """A job by its id."""
        found = self.jobs.get(identifier)
        if found is None:
            raise RefusalError(404, "there is no such job.")
        return found

    def read_upload(self, upload: Upload, options: Mapping[str, Any]) -> Job:
        """A job that says what an import of an upload would read."""
        words = ("import", "auto", str(upload.source), "--dry-run", "--json", *_options(options))
        facts = {"upload": upload.id, "options": dict(options)}
        return self.jobs.add(_READING, upload.title, [Step("reading", words)], facts)

    def import_upload(
        self, upload: Upload, title: str, options: Mapping[str, Any], *, train: bool = True
    ) -> Job:
        """A job that imports an upload and, if ``train``, trains a run and writes its report."""
        with self._naming:
            name = self._free_name(title)
            dataset, run = self.data / DATASETS_FOLDER / name, self.data / RUNS_FOLDER / name
            importing = ("import", "auto", str(upload.source), str(dataset), *_options(options))
            steps = [Step("import", importing, str(dataset / "dataset.json"))]
            if train:
                # No picture of a screen that nobody sees: bars become lines, which the page reads.
                training = ("train", str(dataset), "--out", str(run), *self._cache_words())
                report = ("report", str(run), "--data", str(dataset), *self._cache_words())
                steps += [
                    Step("train", training, str(run / "run.json")),
                    Step("report", report, str(run / "report.html")),
                ]
            facts = {"upload": upload.id, "options": dict(options), "dataset": name}
            return self.jobs.add(IMPORT, title, steps, facts | ({"run": name} if train else {}))

    def _free_name(self, title: str) -> str:
        """A name for what an import makes; those that other imports will make, whether they wait,
        run or could be resumed, are taken."""
        promised = {str(job.facts["dataset"]) for job in self.jobs.undone() if job.kind == IMPORT}
        return self.library.free(title, promised)

    def score_table(self, upload: Upload, run: str) -> Job:
        """A job that scores a table of drafts."""
        entry = self.run_of_posts(run)
        source = upload.source
        files = sorted(source.iterdir()) if source.is_dir() else [source]  # among its pictures
        table = next((path for path in files if path.suffix.lower() in TABLE_SUFFIXES), None)
        if table is None:
            raise DataError(
                "no table of drafts.", fix=f"Bring one that ends in {', '.join(TABLE_SUFFIXES)}."
            )
        words = (
            *("predict", str(entry.folder), "--drafts", str(table)),
            *("--out", "{job}/scores.parquet", *self._cache_words()),
        )
        step = Step("score", words, "{job}/scores.parquet")
        return self.jobs.add(TABLE, upload.title, [step], {"upload": upload.id, "run": entry.name})

    def table(self, job: Job) -> pd.DataFrame | None:
        """The scores of a job that scored a table; None while it is not done."""
        from evoked.parquet import read_frame

        path = self.jobs.folder(job) / "scores.parquet"
        return read_frame(path) if job.kind == TABLE and path.is_file() else None

    def look_at_posts(self, dataset: DatasetEntry, count: str = "") -> Job:
        """A job that finds what works for the account of a dataset; ``count`` is for what, by
        default the first that enough posts have."""
        words = (
            *("analyse", str(dataset.folder), "--out", f"{{job}}/{_ANALYSIS}"),
            *((f"--popularity={count}",) if count else ()),
            *self._cache_words(),
        )
        step = Step("analyse", words, f"{{job}}/{_ANALYSIS}/analysis.json")
        facts = {"dataset": dataset.name, "count": count}
        return self.jobs.add(WORKS, dataset.name, [step], facts)

    def analysis(self, job: Job) -> dict[str, Any] | None:
        """What a job found that looked at posts; None while it is not done."""
        path = self.jobs.folder(job) / _ANALYSIS / "analysis.json"
        if job.kind != WORKS or not path.is_file():
            return None
        found: dict[str, Any] = parse_json(read_bounded(path, _MOST_RESULT_BYTES), path)
        return found

    def works_file(self, job: Job, kind: str) -> Path | None:
        """The table (``csv``) or the figure (``png``) of what works; None while there is none."""
        name = {"csv": "tables/works.csv", "png": "figures/works.png"}[kind]
        path = self.jobs.folder(job) / _ANALYSIS / name
        return path if job.kind == WORKS and path.is_file() else None

    def reading(self, job: Job) -> dict[str, Any] | None:
        """What a job found that read an upload; None while it is not done."""
        if job.kind != _READING or job.state != "done":
            return None
        path = self.jobs.output(job)
        read = parse_json(read_bounded(path, _MOST_RESULT_BYTES), path)
        found: dict[str, Any] = self.places.left_out(read)
        return found

    def _cache_words(self) -> tuple[str, ...]:
        cache = self.settings.cache
        return () if cache is None else ("--cache", str(cache.resolve()))


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON has them."""
    found: list[dict[str, Any]] = plain(records(table))
    return found


def _options(options: Mapping[str, Any]) -> list[str]:
    """The options of an import: what a person typed stands behind an equals sign, where no
    command takes it for an option."""
    words = [f"--map={field}={column}" for field, column in options.get("mapping", {}).items()]
    for name in ("time_zone", "author"):
        if options.get(name):
            words.append(f"--{name.replace('_', '-')}={options[name]}")
    return words


def checked_count(count: str) -> str:
    """The name of a count that something can work for; empty for the first that enough posts have.

    Raises
    ------
    SettingsError
        Another.
    """
    from evoked.analysis.works.findings import COUNTS

    if count and count not in COUNTS:
        raise SettingsError(f"something works for {', '.join(COUNTS)}, not {count[:60]!r}.")
    return count
