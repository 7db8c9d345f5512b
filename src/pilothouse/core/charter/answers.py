# SPDX-License-Identifier: Apache-2.0
"""A value of a charter, or the open question "?" in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = ["OPEN", "Answer", "OrAll", "OrNone", "Section", "Word", "is_open", "known", "open_paths"]

OPEN: Literal["?"] = "?"
"""What a person writes who does not know the answer yet."""

T = TypeVar("T")


class Word:
    """Marks a union in which one word stands for something that is no ordinary value.

    A plain union would put the names of its branches into the path of every error; this keeps the
    path as the person wrote it, and keeps errors about the ordinary value only.

    Attributes:
        word: The word as it stands in the file.
        meaning: What the model holds for it.
    """

    def __init__(self, word: str, meaning: str | None) -> None:
        self.word = word
        self.meaning = meaning

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        ordinary = tuple(arm for arm in get_args(source) if arm not in (Literal[self.word], type(None)))
        inner = handler.generate_schema(Union[ordinary])  # noqa: UP007 - the arms are known at run time only
        word, meaning = self.word, self.meaning

        def validate(value: Any, validate_inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
            return meaning if value == word and isinstance(value, str) else validate_inner(value)

        def serialize(value: Any, serialize_inner: core_schema.SerializerFunctionWrapHandler) -> Any:
            return word if value == meaning else serialize_inner(value)

        return core_schema.no_info_wrap_validator_function(
            validate,
            inner,
            serialization=core_schema.wrap_serializer_function_ser_schema(serialize, schema=inner),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        return {"anyOf": [handler(schema), {"const": self.word}]}


Answer = Annotated[T | Literal["?"], Word("?", "?")]
"""A value, or "?" while nobody knows it."""

OrAll = Annotated[T | Literal["all"], Word("all", "all")]
"""A value, or the word `all`."""

OrNone = Annotated[T | None, Word("none", None)]
"""A value, or None for the word `none`."""


def is_open(value: object) -> TypeIs[Literal["?"]]:
    """Return whether a value is still an open question.

    Example:
        >>> is_open("?"), is_open(0.95)
        (True, False)
    """
    return isinstance(value, str) and value == OPEN


def known(value: T | Literal["?"] | None) -> T | None:
    """Return the answer, or None while the question is open.

    Example:
        >>> known(0.95), known("?")
        (0.95, None)
    """
    return None if is_open(value) else value


def open_paths(value: object, path: str = "") -> tuple[str, ...]:
    """Return the dotted path of every open question inside a model, in file order.

    Args:
        value: A model, or what one holds.
        path: Path of `value` itself.

    Example:
        >>> class Place(Section):
        ...     region: Answer[str]
        >>> open_paths(Place(region="?"))
        ('region',)
    """
    if is_open(value):
        return (path,)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        parts = [(field.alias or name, getattr(value, name)) for name, field in fields.items()]
    elif isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, tuple):
        parts = [(str(index), part) for index, part in enumerate(value)]
    else:
        return ()
    return tuple(
        found for key, part in parts for found in open_paths(part, f"{path}.{key}" if path else str(key))
    )


class Section(BaseModel):
    """Base of every mapping of a charter: frozen, strict, unknown keys refused.

    "?" in place of the whole mapping opens each of its required values, so that code that reads
    `charter.owner.person` meets the open question there and nowhere else.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        defer_build=True,
        validate_by_name=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _open_every_value(cls, data: Any) -> Any:
        if not is_open(data):
            return data
        return {field.alias or name: OPEN for name, field in cls.model_fields.items() if field.is_required()}
