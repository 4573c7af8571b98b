"""Small sources of every format, like those that the programs of each format write."""

from __future__ import annotations

import csv
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import Workbook
from PIL import Image


def picture(seed: int, format_name: str = "JPEG") -> bytes:
    """A small picture that is different for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format_name)
    return stream.getvalue()


def write_picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(seed))


def table_rows(count: int = 3) -> list[dict[str, Any]]:
    return [
        {
            "Post ID": f"p{number}",
            "Caption": f"Caption {number} #tag{number} @friend",
            "Like Count": 10 * number,
            "Comments": number,
            "Posted At": f"2024-01-{number % 28 + 1:02d}T10:00:00Z",
            "Image": f"pictures/{number}.jpg",
        }
        for number in range(count)
    ]


def _pictures_of(folder: Path, rows: list[dict[str, Any]]) -> None:
    for number, row in enumerate(rows):
        write_picture(folder / row["Image"], number)


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def csv_source(folder: Path) -> Path:
    rows = table_rows()
    _pictures_of(folder, rows)
    return write_csv(folder / "posts.csv", rows)


def jsonl_source(folder: Path) -> Path:
    rows = table_rows()
    _pictures_of(folder, rows)
    path = folder / "posts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_xlsx(path: Path, rows: list[list[Any]], title: str = "Posts") -> Path:
    book = Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def xlsx_source(folder: Path) -> Path:
    rows = table_rows()
    _pictures_of(folder, rows)
    return write_xlsx(folder / "posts.xlsx", [list(rows[0]), *(list(row.values()) for row in rows)])


def tables_source(folder: Path) -> Path:
    """A month of posts per file, and a file that is no table."""
    rows = table_rows(4)
    _pictures_of(folder, rows)
    write_csv(folder / "2024-01.csv", rows[:2])
    write_csv(folder / "2024-02.csv", rows[2:])
    (folder / "notes.json").write_text("[1, 2]")
    return folder


def parquet_source(folder: Path) -> Path:
    rows = table_rows()
    _pictures_of(folder, rows)
    path = folder / "posts.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def instaloader_node(number: int, **changes: Any) -> dict[str, Any]:
    """The metadata of one post, with the keys that Instaloader 4 writes."""
    node = {
        "__typename": "GraphImage",
        "id": str(1000 + number),
        "shortcode": f"C{number}",
        "is_video": False,
        "taken_at_timestamp": 1_700_000_000 + number,
        "edge_media_to_caption": {"edges": [{"node": {"text": f"Post {number} #sun"}}]},
        "edge_media_preview_like": {"count": 100 + number},
        "edge_media_to_comment": {"count": number},
        "location": None,
        "owner": {"id": "7", "username": "someone"},
    }
    return {**node, **changes}


def write_instaloader_json(path: Path, node: dict[str, Any], kind: str = "Post") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"node": node, "instaloader": {"version": "4.10", "node_type": kind}})
    packed = lzma.compress(content.encode()) if path.suffix == ".xz" else content.encode()
    path.write_bytes(packed)


def instaloader_source(folder: Path) -> Path:
    """Three posts (picture, carousel, video with a cover) and the account's metadata."""
    account = folder / "someone"
    profile = {
        "id": "7",
        "username": "someone",
        "edge_followed_by": {"count": 5000},
        "edge_follow": {"count": 50},
        "edge_owner_to_timeline_media": {"count": 300},
    }
    write_instaloader_json(account / "someone_7.json.xz", profile, "Profile")
    kinds = ("GraphImage", "GraphSidecar", "GraphVideo")
    for number, kind in enumerate(kinds):
        stem = f"2023-11-14_22-13-{20 + number}_UTC"
        node = instaloader_node(number, __typename=kind, is_video=kind == "GraphVideo")
        write_instaloader_json(account / f"{stem}.json.xz", node)
        (account / f"{stem}.txt").write_text(f"Post {number} #sun")
        for name in [f"{stem}_10", f"{stem}_2"] if kind == "GraphSidecar" else [stem]:
            write_picture(account / f"{name}.jpg", len(name) + number)
    (account / f"{stem}.mp4").write_bytes(b"not decoded")
    write_picture(account / "2023-11-14_22-13-20_UTC_profile_pic.jpg", 99)
    (account / "id").write_text("7")
    return folder


def mojibake(text: str) -> str:
    """A text as Instagram exports it: UTF-8 read as Latin-1."""
    return text.encode("utf-8").decode("latin-1")


def export_documents() -> dict[str, Any]:
    """The JSON documents of an account's export, by path."""
    return {
        "your_instagram_activity/media/posts_1.json": [
            {
                "media": [
                    {
                        "uri": "media/posts/202301/one.jpg",
                        "creation_timestamp": 1_700_000_000,
                        "title": mojibake("Sonne 😀 über #köln"),
                    }
                ]
            },
            {
                "media": [
                    {"uri": "media/posts/202301/two.jpg", "creation_timestamp": 1_700_000_100},
                    {"uri": "media/posts/202301/three.jpg", "creation_timestamp": 1_700_000_100},
                ],
                "title": "Two pictures",
                "creation_timestamp": 1_700_000_100,
            },
        ],
        "your_instagram_activity/media/reels.json": {
            "ig_reels_media": [
                {
                    "media": [
                        {
                            "uri": "media/reels/202301/reel.mp4",
                            "creation_timestamp": 1_700_000_200,
                            "title": "A reel",
                        }
                    ]
                }
            ]
        },
        "logged_information/past_instagram_insights/posts.json": {
            "organic_insights_posts": [
                {
                    "media_map_data": {
                        "Media Thumbnail": {
                            "uri": "media/posts/202301/one.jpg",
                            "creation_timestamp": 1_700_000_000,
                        }
                    },
                    "string_map_data": {
                        "Creation Timestamp": {"timestamp": 1_700_000_000},
                        "Likes": {"value": "1,234"},
                        "Comments": {"value": "5"},
                        "Shares": {"value": "6"},
                        "Saves": {"value": "7"},
                        "Impressions": {"value": "9,000"},
                        "Accounts reached": {"value": "8,000"},
                        "Profile visits": {"value": "--"},
                    },
                },
                {
                    "media_map_data": {
                        "Media Thumbnail": {
                            "uri": "media/other/gone.jpg",
                            "creation_timestamp": 1_690_000_000,
                            "title": "No longer listed",
                        }
                    },
                    "string_map_data": {"Likes": {"value": "3"}},
                },
            ]
        },
        "logged_information/past_instagram_insights/reels.json": {
            "organic_insights_reels": [
                {
                    "media_map_data": {
                        "Media Thumbnail": {
                            "uri": "media/reels/202301/cover.jpg",
                            "creation_timestamp": 1_700_000_200,
                        }
                    },
                    "string_map_data": {
                        "Instagram Likes": {"value": "11"},
                        "Instagram Plays": {"value": "500"},
                    },
                }
            ]
        },
        "logged_information/past_instagram_insights/audience_insights.json": {
            "organic_insights_audience": [{"string_map_data": {"Followers": {"value": "10,801"}}}]
        },
        "personal_information/personal_information/personal_information.json": {
            "profile_user": [{"string_map_data": {"Username": {"value": "my_shop"}}}]
        },
    }


EXPORT_PICTURES = (
    "media/posts/202301/one.jpg",
    "media/posts/202301/two.jpg",
    "media/posts/202301/three.jpg",
    "media/reels/202301/cover.jpg",
)


def export_source(folder: Path) -> Path:
    for name, document in export_documents().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
    for number, name in enumerate(EXPORT_PICTURES):
        write_picture(folder / name, number)
    return folder


def export_zip(path: Path, prefix: str = "instagram-my_shop/") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, document in export_documents().items():
            archive.writestr(prefix + name, json.dumps(document))
        for number, name in enumerate(EXPORT_PICTURES):
            archive.writestr(prefix + name, picture(number))
    return path


def iaed_source(folder: Path) -> Path:
    rows = [
        {
            "id": f"ad{number}",
            "category": ("Food", "Fashion")[number % 2],
            "caption": f"Advert {number}",
            "hashtags": "#new #sale",
            "image": f"images/{number}.jpg",
            "likes": 100 * number,
            "comments": number,
            "shares": number,
            "saves": number,
            "followers": 10_000,
        }
        for number in range(3)
    ]
    write_csv(folder / "posts.csv", rows)
    for number in range(3):
        write_picture(folder / f"images/{number}.jpg", number)
    ratings = [
        {
            "id": f"ad{number}",
            "annotator": f"a{person}",
            "valence": 5 + person,
            "arousal": 1 + number,
        }
        for number in range(3)
        for person in range(3)
    ]
    write_csv(folder / "annotations.csv", ratings)
    return folder


def label_studio_result(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": kind, "value": {kind: value}}


def label_studio_source(folder: Path) -> Path:
    write_picture(folder / "images/beach.jpg", 1)
    write_picture(folder / "street.jpg", 2)
    tasks = [
        {
            "id": 1,
            "data": {"image": "/data/upload/3/0a1b2c3d-beach.jpg", "text": "On the beach"},
            "annotations": [
                {
                    "completed_by": 4,
                    "result": [
                        label_studio_result("valence", "rating", 9),
                        label_studio_result("arousal", "number", 2),
                        label_studio_result("emotion", "choices", ["Awe"]),
                    ],
                },
                {
                    "completed_by": {"id": 5, "email": "someone@example.org"},
                    "result": [label_studio_result("valence", "choices", ["8 – pleasant"])],
                },
                {
                    "completed_by": 6,
                    "was_cancelled": True,
                    "result": [label_studio_result("valence", "rating", 1)],
                },
            ],
        },
        {
            "id": 2,
            "data": {"image": "/data/local-files/?d=street.jpg", "text": "In the street"},
            "annotations": [
                {"completed_by": 4, "result": [label_studio_result("valence", "rating", 1)]}
            ],
        },
        {"id": 3, "data": {"text": "Not rated yet"}, "annotations": []},
    ]
    path = folder / "export.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def pixelrec_source(folder: Path) -> Path:
    """Files with the columns of PixelRec, and covers in two folders for all items but one."""
    items = [
        {
            "item_id": f"i{number}",
            **{f"{what}_number": float(number * size) for what, size in PIXELREC_COUNTS.items()},
            "title": "" if number == 1 else f"Title {number}, 海",
            "tag": ("Travel", "Board games")[number % 2],
            "description": "" if number == 2 else f"Description {number}",
        }
        for number in range(1, 5)
    ]
    write_csv(folder / "item_info.csv", items)
    interactions = [
        {"item_id": f"i{number}", "user_id": f"u{user}", "timestamp": 1_640_995_200_000 + user}
        for number in range(1, 5)
        for user in range(number)
    ]
    write_csv(folder / "interaction.csv", interactions)
    for number in range(1, 4):
        write_picture(folder / f"cover{number % 2}/i{number}.jpg", number)
    return folder


PIXELREC_COUNTS = {
    "view": 1000,
    "comment": 10,
    "thumbup": 100,
    "share": 5,
    "coin": 2,
    "favorite": 20,
    "barrage": 3,
}


def edges_source(folder: Path) -> Path:
    """Likes, posts and who follows whom, and a picture for each post."""
    likes = [
        {"post": f"p{post}", "author": post % 2, "liker": 10 + user}
        for post in range(3)
        for user in range(post + 2)
    ]
    write_csv(folder / "likes.csv", likes)
    posts = [{"post": f"p{number}", "caption": f"Post {number} #sun"} for number in range(3)]
    (folder / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in posts))
    write_csv(folder / "follows.csv", [{"follower": "10", "followed": "11"}])
    for number in range(3):
        write_picture(folder / f"pictures/p{number}.jpg", number)
    return folder


def iesn_source(folder: Path) -> Path:
    """Every table in another format: with header and without, JSON as lists and as objects."""
    users = [f"{number}@N00" for number in range(1, 5)]
    images = [
        {
            "image_id": f"{500 + number}",
            "owner": users[0],
            "title": f"Image {number}",
            "tags": "a b",
        }
        for number in range(4)
    ]
    write_csv(folder / "images.csv", images)
    (folder / "users.txt").write_text("\n".join(users) + "\n")
    for number in range(3):  # the fourth is gone
        write_picture(folder / f"images/{500 + number}_0a1b2c.jpg", number)
    records = [
        (users[1], "500", "1400000000", "awe", "c1"),
        (users[2], "500", "1400000001", "Amusement", "c2"),
        (users[3], "500", "1400000002", "Unknown", "c3"),
        (users[1], "501", "1400000003", "fear;sadness", "c4"),
        (users[2], "501", "1400000004", "contentment", ""),
        (users[2], "502", "1400000005", "anger", "c6"),
        (users[2], "503", "1400000006", "anger", "c7"),
        ("gone@N00", "500", "1400000007", "anger", "c8"),
    ]
    (folder / "actual_emotions.txt").write_text("".join("\t".join(row) + "\n" for row in records))
    (folder / "contacts.json").write_text(json.dumps({users[0]: [*users[1:3], "gone@N00"]}))
    groups = [{"group_id": "g1", "name": "Storms", "description": "Dark skies"}]
    (folder / "groups.json").write_text(json.dumps(groups))
    members = [{"group": "g1", "members": f"{users[1]};{users[2]}"}]
    write_csv(folder / "group_members.csv", members)
    (folder / "comments.json").write_text(json.dumps({"c1": "What a sky!", "c9": "Nobody's"}))
    return folder


SOURCES: dict[str, Callable[[Path], Path]] = {
    "auto": csv_source,
    "xlsx": xlsx_source,
    "tables": tables_source,
    "csv": csv_source,
    "jsonl": jsonl_source,
    "parquet": parquet_source,
    "instaloader": instaloader_source,
    "instagram-export": export_source,
    "iaed": iaed_source,
    "label-studio": label_studio_source,
    "pixelrec": pixelrec_source,
    "edges": edges_source,
    "iesn": iesn_source,
}
