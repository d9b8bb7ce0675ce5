"""What may be asked of a kind of job, field by field: forms, commands and the API are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

FieldType = Literal["bool", "int", "float", "text", "choice", "json"]
_TYPES: Mapping[Any, FieldType] = {bool: "bool", int: "int", float: "float", str: "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One thing that may be said."""

    name: str
    type: FieldType
    required: bool
    default: Any
    choices: Sequence[str] = ()
    help: str = ""

    @property
    def label(self) -> str:
        """Returns its name as a person reads it."""
        return self.name.replace("_", " ").capitalize()


def fields_of(parameters: type[BaseModel] | None) -> list[FormField]:
    """Returns what may be said, in order; nothing where a kind says so."""
    found = parameters.model_fields.items() if parameters is not None else ()
    return [_field(name, info) for name, info in found]


def _field(name: str, info: FieldInfo) -> FormField:
    choices = _choices(_plain(info.annotation))
    return FormField(
        name=name,
        type="choice" if choices else _TYPES.get(_plain(info.annotation), "json"),
        required=info.is_required(),
        default=None if info.is_required() else info.get_default(call_default_factory=True),
        choices=choices,
        help=info.description or "",
    )


def _plain(annotation: Any) -> Any:
    """What a field holds where it holds anything: of `int | None` the `int`."""
    if get_origin(annotation) in (Union, UnionType):
        kept = [one for one in get_args(annotation) if one is not NoneType]
        return kept[0] if len(kept) == 1 else annotation
    return annotation


def _choices(annotation: Any) -> Sequence[str]:
    if get_origin(annotation) is Literal:
        return [str(one) for one in get_args(annotation)]
    is_enum = isinstance(annotation, type) and issubclass(annotation, Enum)
    return [str(one.value) for one in annotation] if is_enum else ()
