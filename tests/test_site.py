"""The documentation site: what it is made of, its links, and the outputs that it shows.

``make docs`` builds it and fails at a warning. Here is what takes seconds: every link and anchor,
every page's place in the table of contents, the pages that are made of the code, and whether the
commands shown are commands. The slow tests build the site and run what its pages show.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
from pathlib import Path, PurePosixPath
from typing import Any

import answers
import build_site
import pytest
import site_models
import site_names
import site_reference
import site_sources
import typer

from evoked.cli.application import app
from evoked.models import MODELS

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = site_sources.pages(REPOSITORY)
QUESTIONS = answers.pages(REPOSITORY)
REDIRECTIONS = (">", "/dev/null", "2>&1")
ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?(evoked(?:\.\w+)+)`")


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def commands_in(page: Path) -> list[list[str]]:
    """The words of every command of evoked in a page's blocks."""
    lines = "".join(block.commands for block in answers.blocks(page)).replace("\\\n", " ")
    own = [line for line in lines.splitlines() if line.startswith("evoked ")]
    words = [shlex.split(line.partition(" | ")[0]) for line in own]
    return [[word for word in each[1:] if word not in REDIRECTIONS] for each in words]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    for link in site_sources.links(page.read_text(encoding="utf-8")):
        file, anchor = site_sources.target_of(page, link)
        assert not anchor or anchor in site_sources.anchors(file), link[0]


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "# A page\n\n[a](page.md#a-page), `[no](link.md)`, [b](missing.md)\n"
    page.write_text(text, encoding="utf-8")
    first, second = site_sources.links(text)
    assert site_sources.target_of(page, first) == (page, "a-page")
    with pytest.raises(site_sources.LinkError, match=r"missing\.md"):
        site_sources.target_of(page, second)


def test_anchors_are_those_of_code_hosts(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = (
        "# When to post: it is `evoked when`\n\n## Rates\n\n```sh\n# no heading\n```\n\n## Rates\n"
    )
    page.write_text(text, encoding="utf-8")
    wanted = {"when-to-post-it-is-evoked-when", "rates", "rates-1"}
    assert site_sources.anchors(page) == wanted


@pytest.mark.parametrize(
    ("file", "there"),
    [
        ("README.md", "tour.md"),
        ("docs/importing.md", "importing.md"),
        ("docs/questions/README.md", "questions/index.md"),
        ("results/advice/README.md", "results/advice/index.md"),
        ("results/abmf/table6.md", "results/abmf/table6.md"),
        ("src/evoked/files.py", "files/src/evoked/files.py"),
    ],
)
def test_pages_have_their_place(file: str, there: str) -> None:
    assert str(site_sources.place(PurePosixPath(file))) == there


def test_links_are_written_for_the_new_place() -> None:
    text, files = site_sources.moved(REPOSITORY / "docs" / "importing.md", REPOSITORY)
    assert "](files/src/evoked/posts/readers/names.yaml)" in text
    assert {file.name for file in files} == {"names.yaml"}
    text, _ = site_sources.moved(REPOSITORY / "results" / "README.md", REPOSITORY)
    assert "](advice/index.md)" in text


def test_every_page_has_its_place_in_the_table_of_contents() -> None:
    listed = ["index", *(page for pages in build_site.CONTENTS.values() for page in pages)]
    made = [name.removesuffix(".md") for name, _ in build_site.made_pages()]
    taken_over = [
        str(site_sources.place(PurePosixPath(name_of(page))).with_suffix("")) for page in PAGES
    ]
    for name in made + taken_over:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in listed), name


def test_every_model_has_a_page_beside_its_paper() -> None:
    pages = dict(site_models.model_pages(REPOSITORY))
    assert set(pages) == {"models/index.md", *(f"models/{name}.md" for name in MODELS)}
    page = pages["models/abmf.md"]
    for part in (
        "evoked train my_posts --model abmf",
        "| source | Lu and Li 2025 |",
        "| `matching_weight` | `1.0` |",
        "| `abmf/table6` | `abmf` | ABMF (ours) |",
        "| spatial attention |",
        "[All rows, splits and tests](../results/abmf/table6.md)",
        "| ABMF | valence MAE | 0.573 | 0.752 |",
    ):
        assert part in page, part
    assert all(f"[`{name}`]({name}.md)" in pages["models/index.md"] for name in MODELS)
    assert "## Rows of published tables" not in pages["models/recent_posts.md"]


def test_every_public_name_has_a_page() -> None:
    pages = dict(site_reference.python_pages())
    names = site_reference.public_names()
    assert set(pages) == {"reference/index.md", *(f"reference/{name}.md" for name in names)}
    assert all(f"]({name}.md)" in pages["reference/index.md"] for name in names)
    assert "| `caption` | `str \\| None` | Text" in pages["reference/evoked.Draft.md"]
    assert "| `max_epochs` | `40` |" in pages["reference/evoked.TrainingSettings.md"]


def test_every_request_has_its_section() -> None:
    described = site_reference.description()
    page = site_reference.http_markdown(described)
    for path, methods in described["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in page
    linked = set(re.findall(r"\]\(#(schema-[a-z0-9-]+)\)", page))
    assert linked <= set(re.findall(r"^\((schema-[a-z0-9-]+)\)=", page, re.MULTILINE))
    assert "| `caption` | string, 100000 characters at most or null |" in page


def test_names_in_docstrings_exist() -> None:
    missing = [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in sorted((REPOSITORY / "src").rglob("*.py"))
        for name in sorted(set(ROLE.findall(path.read_text(encoding="utf-8"))))
        if not site_names.exists(name)
    ]
    assert not missing, "\n".join(missing)


def test_a_name_is_looked_up_where_it_stands() -> None:
    assert site_names.exists("evoked.posts.dataset.PostDataset.create")
    assert not site_names.exists("evoked.posts.dataset.PostDataset.crate")
    assert not site_names.exists("evoked.post")
    assert site_names.page_of("evoked.posts.dataset.PostDataset") == "evoked.PostDataset"
    assert site_names.page_of("evoked.runs.posts.Run.predict") == "evoked.Run.predict"
    assert site_names.page_of("evoked.files.write_text") is None
    assert "evoked.posts.dataset.PostDataset" in site_names.candidates(
        "PostDataset", "evoked.runs.training", None
    )


@pytest.mark.parametrize("page", QUESTIONS, ids=name_of)
def test_commands_on_pages_are_commands(page: Path) -> None:
    found = commands_in(page)
    assert found
    for words in found:
        command: Any = typer.main.get_command(app)
        remaining = list(words)
        while hasattr(command, "commands"):
            command = command.commands[remaining.pop(0)]
        command.make_context(command.name, remaining)


def test_every_question_shows_an_output_before_it_explains() -> None:
    assert {page.name for page in (REPOSITORY / "docs/questions").glob("*.md")} == {
        "README.md",
        *(page.name for page in QUESTIONS[1:]),
    }
    for page in QUESTIONS:
        shown = [block for block in answers.blocks(page) if block.output is not None]
        assert shown, page
        assert all(len(block.output or "") > 40 for block in shown), page
    for page in QUESTIONS[1:]:
        text = page.read_text(encoding="utf-8")
        sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert sections == ["How to read it", "What it can't know", "Where it comes from"]
        assert text.index("<!-- output -->") < text.index("## How to read it")


def test_outputs_differ_by_words_not_by_noise() -> None:
    before = "About 490 likes (350 to 1,210)\nmean   0.12\n"
    assert not answers.differences(before, "About 495 likes (351 to 1,200)\nmean  0.13\n")
    assert answers.differences(before, "About 590 likes (350 to 1,210)\nmean   0.12\n")
    assert answers.differences(before, "About 490 shares (350 to 1,210)\nmean   0.12\n")
    assert answers.differences(before, "About 490 likes (350 to 1,210)\n")


def test_outputs_are_written_below_their_commands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    mark = "\n<!-- output -->\n```text\nold\n```\n<!-- end -->\n"
    text = f"# A\n\n```sh\necho one\n```\n\n```sh\necho two\n```\n{mark}\nAfter.\n"
    page.write_text(text, encoding="utf-8")
    first, second = answers.blocks(page)
    assert (first.output, second.output) == (None, "old\n")
    printed = [answers.run(block.commands, tmp_path) for block in (first, second)]
    assert answers.written(page, printed) == text.replace("old", "two")


@pytest.mark.slow
def test_the_pages_show_what_the_commands_print(tmp_path: Path) -> None:
    assert answers.main(["--check", "--folder", str(tmp_path)]) == 0


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_fetches_nothing(tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert build_site.main(["--out", str(site)]) == 0
    sources = r"""<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//"""
    sheets = r"""<link(?![^>]*rel="(?:canonical|search)")[^>]*\shref="(?:https?:)?//"""
    fetched = re.compile(f"{sources}|{sheets}")
    for page in site.rglob("*.html"):
        assert not fetched.search(page.read_text(encoding="utf-8")), page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", text), sheet
