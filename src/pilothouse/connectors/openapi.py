# SPDX-License-Identifier: Apache-2.0
"""Read what a web service says of its operations in OpenAPI 3 (file → operations with schemas that stand alone).

The file is a stranger's: it is bounded, nothing in it is fetched, and what it says is a draft that a person reviews.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import yaml

from pilothouse.connectors.openapi_schemas import Schemas, Side, object_of
from pilothouse.errors import MalformedRecord, Place, UsageError

__all__ = ["ApiDescription", "Operation", "read_openapi"]

DOCUMENT_BYTES_MAX = 16 << 20
"""The largest published descriptions have some 10 MB."""

OPERATIONS_MAX = 5_000
"""The largest have a tenth of that."""

READS = frozenset({"get", "head"})
METHODS = (*sorted(READS), "put", "post", "delete", "patch", "options", "trace")

OF_THE_CALL = frozenset({"accept", "content-type", "authorization", "cookie", "host", "user-agent"})
"""Headers that the function behind a tool sends by itself; a model says none of them."""

KEY_HEADERS = frozenset({"idempotency-key", "x-idempotency-key", "x-request-id"})
"""Headers in which services take the key of a call, so that a second one does nothing more."""

GOOD = ("200", "201", "202", "203", "2XX", "2xx", "default")
"""Answers whose body is the result, the first that is described."""

DEPTH_MAX = 200
"""Descriptions that programs write are some twenty deep."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(LOADER):  # type: ignore[misc]  # of whichever kind is built in
    """Leaves days and moments as they are written: in JSON they are texts."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
        for first, forms in LOADER.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        ident: Its `operationId`, else method and path in one word.
        method: HTTP method, upper case.
        path: Path with its parameters in braces.
        says: Its summary and description.
        input: JSON Schema of all it takes: parameters, and the fields of its body.
        output: JSON Schema of what it gives; empty where that is not described as JSON.
        key_header: Header that takes the key of a call, or empty.
    """

    ident: str
    method: str
    path: str
    says: str
    input: dict[str, Any]
    output: dict[str, Any]
    key_header: str

    @property
    def reads(self) -> bool:
        """Whether its method promises to change nothing."""
        return self.method.lower() in READS


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDescription:
    """What a service says of itself.

    Attributes:
        title: Its name.
        hosts: `host:port` of each of its addresses.
        sign_in: Ways of signing in, as it names them.
        operations: Its operations, in the order of the file.
    """

    title: str
    hosts: tuple[str, ...]
    sign_in: tuple[str, ...]
    operations: tuple[Operation, ...]


def read_openapi(path: Path) -> ApiDescription:
    """Read a description.

    Args:
        path: JSON or YAML, OpenAPI 3.0 or 3.1.

    Raises:
        UsageError: There is no such file, or it is no description of that kind.
        MalformedRecord: It is one, and a part of it cannot be read.
    """
    document = _document(path)
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        older = " (it is Swagger 2)" if "swagger" in document else ""
        raise UsageError(
            f"{str(path)!r} is no OpenAPI 3 description{older}",
            remedy="Give the file that the service publishes, often /openapi.json; Swagger 2 is converted by its own tools first.",
            subject=str(path),
        )
    info = object_of(document.get("info"))
    components = object_of(document.get("components"))
    operations = []
    for route, method, item, operation in _operations(document):
        operations.append(_operation(document, route, method, item, operation, file=str(path)))
        if len(operations) > OPERATIONS_MAX:
            raise UsageError(
                f"{str(path)!r} describes more than {OPERATIONS_MAX:,} operations",
                remedy="Give a file with the part of it that the agent needs.",
                subject=str(path),
            )
    return ApiDescription(
        title=str(info.get("title", "")),
        hosts=tuple(dict.fromkeys(_hosts(document))),
        sign_in=tuple(_sign_in(object_of(components.get("securitySchemes")))),
        operations=tuple(operations),
    )


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as failed:
        raise UsageError(
            f"{str(path)!r} cannot be read: {failed.strerror}",
            remedy="Give the path of an OpenAPI description, JSON or YAML.",
            subject=str(path),
        ) from failed
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise UsageError(
            f"{str(path)!r} has more than {DOCUMENT_BYTES_MAX >> 20} MiB",
            remedy="Give a file with the part of it that the agent needs.",
            subject=str(path),
        )
    try:
        text = raw.decode("utf-8-sig")
        found = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
        _check_depth(found)
    except (ValueError, TypeError, yaml.YAMLError, RecursionError) as failed:
        mark = getattr(failed, "problem_mark", None)
        line = mark.line + 1 if mark is not None else getattr(failed, "lineno", 1)
        raise MalformedRecord(
            f"{str(path)!r} cannot be read as JSON or YAML ({type(failed).__name__})",
            remedy="Fetch it from the service again.",
            place=Place(str(path), line),
        ) from failed
    return object_of(found)


def _yaml(text: str) -> Any:
    """Read YAML as the JSON that it stands for; neither deep, which ends the process in libyaml, nor with anchors, which unfold."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        place: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=place)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=place)
    found = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is the safe loader
    return json.loads(json.dumps(found, allow_nan=False))


def _check_depth(found: Any) -> None:
    """Refuse what is nested so deep that reading it would cost a stack.

    Raises:
        ValueError: It is.
    """
    level = [found]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise ValueError("nested too deep")


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    for route, item in object_of(document.get("paths")).items():
        entry = object_of(item)
        for method in METHODS:
            if isinstance(entry.get(method), dict):
                yield str(route), method, entry, entry[method]


def _operation(
    document: dict[str, Any],
    route: str,
    method: str,
    item: dict[str, Any],
    said: dict[str, Any],
    *,
    file: str,
) -> Operation:
    taken, given = Schemas(document, Side.REQUEST, file=file), Schemas(document, Side.ANSWER, file=file)
    properties: dict[str, Any] = {}
    required: list[str] = []
    key_header = ""
    for parameter in _parameters(taken, item, said):
        name, place = str(parameter.get("name", "")), parameter.get("in")
        if place == "header" and name.lower() in KEY_HEADERS:
            key_header = name
        elif place in {"path", "query"} or (place == "header" and name.lower() not in OF_THE_CALL):
            properties[name] = _described(taken.plain(_schema_in(parameter)), parameter)
            if parameter.get("required") is True or place == "path":
                required.append(name)
    body = taken.followed(said.get("requestBody"))
    _add_body(taken, body, properties, required)
    parts = [said.get("summary"), said.get("description")]
    return Operation(
        ident=str(said.get("operationId") or f"{method} {route}"),
        method=method.upper(),
        path=route,
        says="\n".join(
            dict.fromkeys(part.strip() for part in parts if isinstance(part, str) and part.strip())
        ),
        input=taken.whole(
            {
                "type": "object",
                "properties": properties,
                **({"required": list(dict.fromkeys(required))} if required else {}),
                "additionalProperties": False,
            }
        ),
        output=given.whole(given.plain(_answer(given, said))),
        key_header=key_header,
    )


def _parameters(schemas: Schemas, item: dict[str, Any], said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of an operation; its own stand for those of its path with the same name and place."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for owner in (item, said):
        listed = owner.get("parameters")
        for one in listed if isinstance(listed, list) else ():
            parameter = schemas.followed(one)
            found[str(parameter.get("name")), str(parameter.get("in"))] = parameter
    yield from found.values()


def _add_body(
    schemas: Schemas, body: dict[str, Any], properties: dict[str, Any], required: list[str]
) -> None:
    """Add what the body takes: its fields where it is an object and they have names of their own, else as `body`."""
    content = _json_of(object_of(body.get("content")))
    if content is None:
        return
    whole = schemas.followed(content)
    fields = object_of(whole.get("properties"))
    is_flat = bool(fields) and not {"allOf", "anyOf", "oneOf", "not"} & set(whole)
    if not is_flat or set(fields) & set(properties) or "body" in properties:
        properties["body"] = schemas.plain(content)
        if body.get("required") is True:
            required.append("body")
        return
    plain = schemas.plain(whole)
    properties |= plain["properties"]
    if body.get("required") is True:
        required += plain.get("required", [])


def _answer(schemas: Schemas, said: dict[str, Any]) -> Any:
    answers = {str(status): answer for status, answer in object_of(said.get("responses")).items()}
    for status in GOOD:
        if status in answers:
            return _json_of(object_of(schemas.followed(answers[status]).get("content"))) or {}
    return {}


def _json_of(content: Mapping[str, Any]) -> Any:
    """Return the schema of JSON content, or None where there is none."""
    for kind, media in content.items():
        name = str(kind).partition(";")[0].strip().lower()
        if name == "application/json" or name.endswith("+json") or name == "*/*":
            return object_of(media).get("schema", {})
    return None


def _schema_in(parameter: Mapping[str, Any]) -> Any:
    if "schema" in parameter:
        return parameter["schema"]
    return next(
        (object_of(one).get("schema", {}) for one in object_of(parameter.get("content")).values()), {}
    )


def _described(schema: dict[str, Any], parameter: Mapping[str, Any]) -> dict[str, Any]:
    said = parameter.get("description")
    return {"description": said, **schema} if isinstance(said, str) and said.strip() else schema


def _hosts(document: Mapping[str, Any]) -> Iterator[str]:
    servers = document.get("servers")
    for server in servers if isinstance(servers, list) else ():
        try:
            address = urlsplit(str(object_of(server).get("url", "")))
            port = address.port or {"https": 443, "http": 80}.get(address.scheme)
        except ValueError:  # a variable stands where a port should
            continue
        if address.hostname and port and "{" not in address.hostname:
            yield f"{address.hostname}:{port}"


def _sign_in(schemes: Mapping[str, Any]) -> Iterator[str]:
    for scheme in schemes.values():
        said = object_of(scheme)
        kind = str(said.get("type", ""))
        yield {"http": str(said.get("scheme", kind)), "apiKey": "api key", "mutualTLS": "mtls"}.get(
            kind, kind
        )
