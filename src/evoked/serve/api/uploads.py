"""Uploads: pictures of drafts, exports to import, tables to score."""

from __future__ import annotations

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from evoked.serve.api.common import Key, TheDesk, once, problems
from evoked.serve.api.drafts import ShortText
from evoked.serve.api.jobs import JobFacts
from evoked.serve.bodies import takes
from evoked.serve.problems import RefusalError

router = APIRouter(tags=["uploads"])


class Picture(BaseModel):
    """A picture that was kept."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"picture": "0123456789abcdef0123456789abcdef"}]}
    )

    picture: str = Field(description="Its id, for drafts.")


class Uploaded(BaseModel):
    """Files that were kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"upload": "0123456789abcdef0123456789abcdef", "names": ["posts.csv"]}]
        }
    )

    upload: str = Field(description="Their id.")
    names: list[str] = Field(description="How they were called.")


class ReadingOptions(BaseModel):
    """How an upload is read."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "upload": "0123456789abcdef0123456789abcdef",
                    "mapping": {"likes": "hearts given"},
                    "time_zone": "Europe/Vienna",
                }
            ]
        },
    )

    upload: ShortText = Field(description="Id of an upload: POST /uploads.")
    mapping: dict[ShortText, ShortText] = Field(
        {}, max_length=200, description="Column of each field, where the guess is wrong."
    )
    time_zone: ShortText | None = Field(None, description="Where the account lives: Europe/Berlin.")
    author: ShortText | None = Field(None, description="Whose posts they are, if nothing says so.")

    def options(self) -> dict[str, object]:
        return self.model_dump(exclude={"upload", "name", "train"}, exclude_none=True)


class ImportRequest(ReadingOptions):
    """An upload to be imported."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "upload": "0123456789abcdef0123456789abcdef",
                    "name": "Summer café",
                    "time_zone": "Europe/Vienna",
                }
            ]
        }
    )

    name: ShortText = Field(description="What the dataset and the run are called.")
    train: bool = Field(True, description="Also train a run, and report how good it is.")


class TableRequest(BaseModel):
    """A table of drafts to be scored."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"upload": "0123456789abcdef0123456789abcdef", "run": "summer"}]
        },
    )

    upload: ShortText
    run: ShortText = ""


@router.post("/pictures", status_code=201, responses=problems(507), summary="Bring a picture")
@takes("picture_bytes")
def add_picture(desk: TheDesk, file: UploadFile) -> Picture:
    """JPEG, PNG, WebP, GIF or BMP; what the camera noted beside it is left out."""
    return Picture(picture=desk.uploads.add_picture(file.file.read()))


@router.get(
    "/pictures/{picture}",
    responses={**problems(404), 200: {"content": {"image/*": {}}}},
    response_class=FileResponse,
    summary="A picture that was brought",
)
def picture(desk: TheDesk, picture: str) -> FileResponse:
    """Its file."""
    path = desk.uploads.picture(picture)
    if path is None:
        raise RefusalError(404, "there is no such picture (any more).")
    from evoked.posts.images import read_header

    kind = read_header(path).format.lower()
    return FileResponse(path, media_type=f"image/{kind}")


@router.post("/uploads", status_code=201, responses=problems(507), summary="Bring files")
@takes("export_bytes")
def add_upload(desk: TheDesk, files: list[UploadFile]) -> Uploaded:
    """An export (.zip), a table (.csv, .xlsx, …), or a table and its pictures."""
    upload = desk.uploads.add([(file.filename or "", file.file) for file in files])
    return Uploaded(upload=upload.id, names=list(upload.names))


@router.post(
    "/readings",
    status_code=202,
    response_model=JobFacts,
    responses=problems(404, 409),
    summary="What an import would read",
)
def read(request: Request, desk: TheDesk, asked: ReadingOptions, key: Key = None) -> JSONResponse:
    """A job whose result says which posts and columns an import of the upload would read."""
    upload = desk.upload(asked.upload)

    def make() -> dict[str, object]:
        return JobFacts.of(desk, desk.read_upload(upload, asked.options())).json_ready()

    return once(desk, request, key, asked.model_dump(), make, 202)


@router.post(
    "/imports",
    status_code=202,
    response_model=JobFacts,
    responses=problems(404, 409),
    summary="Import, train, report",
)
def import_(request: Request, desk: TheDesk, asked: ImportRequest, key: Key = None) -> JSONResponse:
    """A job that makes a dataset of an upload and, unless ``train`` is false, a run of it."""
    upload = desk.upload(asked.upload)

    def make() -> dict[str, object]:
        job = desk.import_upload(upload, asked.name, asked.options(), train=asked.train)
        return JobFacts.of(desk, job).json_ready()

    return once(desk, request, key, asked.model_dump(), make, 202)


@router.post(
    "/tables",
    status_code=202,
    response_model=JobFacts,
    responses=problems(404, 409),
    summary="Score a table of drafts",
)
def score_table(
    request: Request, desk: TheDesk, asked: TableRequest, key: Key = None
) -> JSONResponse:
    """A job whose result is a table: GET /jobs/{job}/scores.csv, .parquet or .xlsx."""
    upload = desk.upload(asked.upload)

    def make() -> dict[str, object]:
        return JobFacts.of(desk, desk.score_table(upload, asked.run)).json_ready()

    return once(desk, request, key, asked.model_dump(), make, 202)
