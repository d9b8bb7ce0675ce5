"""How the parts of a form are told apart, and what tus headers say."""

from __future__ import annotations

import base64

import pytest

from clustercore.blobs.domain.errors import BrokenForm
from clustercore.blobs.domain.forms import Part, part_of
from clustercore.blobs.domain.uploads import metadata_of, plain_number


def part(disposition: str) -> Part:
    return part_of({"content-disposition": disposition})


@pytest.mark.parametrize(
    ("disposition", "name", "file_name"),
    [
        ('form-data; name="file"; filename="talk.flac"', "file", "talk.flac"),
        ("form-data; name=file; filename=talk.flac", "file", "talk.flac"),
        ('form-data; name="model"', "model", None),
        ('form-data; name="a\\"b"; filename="c\\\\d;e"', 'a"b', "c\\d;e"),
        ('form-data; filename="x.flac"; name="file"', "file", "x.flac"),
        ('form-data; name="file"; filename=""', "file", ""),
        ("form-data; name=\"file\"; filename*=UTF-8''%C3%A4.wav", "file", "ä.wav"),
        ("form-data; name=\"file\"; filename*=iso-8859-1''%E4.wav", "file", "ä.wav"),
        ('form-data; name="file"; filename="a.wav"; filename*=utf-8\'\'%C3%A4.wav', "file", "ä.wav"),
        ("form-data; name=\"file\"; filename*=utf-8''%C3%A4.wav; filename=a.wav", "file", "ä.wav"),
        ('form-data; name="file"; filename*0="long "; filename*1="name.wav"', "file", "long name.wav"),
        ("form-data; name='file'; filename='a b.wav'", "file", "a b.wav"),
        ('form-data; name="file"; filename="unclosed.wav', "file", "unclosed.wav"),
        ('form-data; name = "file" ; filename = "a;b.wav" ;', "file", "a;b.wav"),
        ('form-data; Name="file"; FileName="a%22b%0D%0A.wav"', "file", 'a"b  .wav'),
    ],
)
def test_a_part_is_a_file_when_it_names_one(disposition: str, name: str, file_name: str | None) -> None:
    found = part(disposition)
    assert (found.name, found.file_name) == (name, file_name)


@pytest.mark.parametrize(
    ("name", "media_type", "is_file"),
    [
        ("file", "audio/wav", True),
        ("file", "Video/MP4", True),
        ("file", "application/octet-stream", True),
        ("sound", "audio/mpeg", True),
        ("prompt", "text/plain; charset=utf-8", False),
        ("prompt", "application/json", False),
        ("prompt", "", False),
    ],
)
def test_a_part_without_a_file_name_is_a_file_when_its_type_is_that_of_a_recording(
    name: str, media_type: str, is_file: bool
) -> None:
    found = part_of({"content-disposition": f'form-data; name="{name}"', "content-type": media_type})
    assert found.file_name == ("" if is_file else None)


@pytest.mark.parametrize("media_type", ["", "text/plain"])
def test_a_text_where_the_recording_belongs_is_refused_with_what_to_send(media_type: str) -> None:
    with pytest.raises(BrokenForm, match=r"^file: .*filename.*-F file=@"):
        part_of({"content-disposition": 'form-data; name="file"', "content-type": media_type})


@pytest.mark.parametrize("disposition", ["", "form-data", 'form-data; filename="x"'])
def test_a_part_without_a_name_breaks_the_form(disposition: str) -> None:
    with pytest.raises(BrokenForm):
        part(disposition)


@pytest.mark.parametrize(
    "parameter",
    [
        "filename*=UTF-8''a; filename*0=b",
        "filename*" + "1" * 5000 + "=a",
        "filename*=a%00b''x",
        "filename*=idna''xn--%ff",
        "filename*=undefined''a",
        "filename*=unicode_escape''%5cud800",
        "filename*=utf-16''%00%d8",
        "filename*0*=utf-7''a; filename*1*=b",
        "name*=unicode_escape''%5cud800",
    ],
)
def test_a_parameter_that_cannot_be_read_breaks_the_form(parameter: str) -> None:
    with pytest.raises(BrokenForm):
        part(f'form-data; name="file"; {parameter}')


@pytest.mark.parametrize("parameter", ["filename*=a.wav", "filename*=''a.wav", "filename*=UTF-8'en'a.wav"])
def test_a_charset_that_is_left_out_is_utf_8(parameter: str) -> None:
    assert part(f'form-data; name="file"; {parameter}').file_name == "a.wav"


def test_bytes_that_are_no_utf_8_are_replaced_in_a_name() -> None:
    assert part("form-data; name=\"file\"; filename*=utf-8''%ff.wav").file_name == "\ufffd.wav"


def test_metadata_are_texts_in_base64() -> None:
    encoded = base64.b64encode("Vortrag über Bäume.flac".encode()).decode()
    assert metadata_of(f"filename {encoded}, empty") == {"filename": "Vortrag über Bäume.flac", "empty": ""}
    assert metadata_of("") == {}


@pytest.mark.parametrize("header", ["filename ***", "filename /w==", "filename " + "A" * 9000])
def test_metadata_that_are_none_are_refused(header: str) -> None:
    with pytest.raises(ValueError, match="Upload-Metadata"):
        metadata_of(header)


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("0", 0), ("", None), ("-1", None), ("1.5", None), ("²", None)])
def test_offsets_are_plain_numbers(text: str, number: int | None) -> None:
    assert plain_number(text) == number
