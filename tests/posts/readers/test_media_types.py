"""Types of media by the names that networks, tools and their languages use."""

from __future__ import annotations

import pytest

from evoked.posts.readers.values import parse_media_type

NAMES = {
    "image": "IG image|Photo|Photos|Single Image|Photo post|Image/Photo|XDTGraphImage|IMAGE|"
    "IG-Bild|Bildbeitrag|Foto|Imagen|Imagem do IG|Immagine|Afbeelding|Zdjęcie|"
    "画像|写真|图片|사진|Фото|صورة|1",
    "video": "IG reel|Reels|Reel|Video Post|GraphVideo|VIDEO|clips|Shorts|Live|Vidéo|Vídeo|"
    "Reel do IG|Videobeitrag|リール|動画|IGリール|视频|릴스|Видео|2",
    "carousel": "IG carousel|CAROUSEL_ALBUM|GraphSidecar|carousel_container|Carousel Post|"
    "Photo album|Carrousel|Karussell|Carrusel|Carrossel do IG|Carosello|"
    "カルーセル|IG カルーセル|캐러셀|карусель|"
    "Multi-photo|8",
    "text": "Text|Status|Link|Links|Shared link|Article|Poll|Tweet|Texto|Umfrage|テキスト|链接",
}


@pytest.mark.parametrize(
    ("written", "kind"), [(n, kind) for kind, names in NAMES.items() for n in names.split("|")]
)
def test_names_of_media(written: str, kind: str) -> None:
    assert parse_media_type(written) == kind


@pytest.mark.parametrize("written", ["Organic", "Post", "Story", "3", "12", "?!"])
def test_names_of_no_medium(written: str) -> None:
    with pytest.raises(ValueError, match="not a known type of media"):
        parse_media_type(written)


def test_an_unknown_medium_is_no_name() -> None:
    assert parse_media_type("–") is None
