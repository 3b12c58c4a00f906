"""An OpenAPI document made ready to check traffic with.

Each schema is compiled once. A check then costs microseconds, which is what lets a service apply
its contract to every request and every answer, instead of to a few of them in its tests.

Source: the OpenAPI Specification 3.1.1; JSON Schema 2020-12.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs
import yaml

from remotecalls.rest.problems import Problem

OPENAPI = Path(__file__).with_name("openapi.yaml")

METHODS = ("get", "post", "put", "patch", "delete")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class Parameter:
    """One value that stands in the path, the query or the headers.

    Attributes:
        where: `path`, `query` or `header`.
        is_integer: whether its text stands for a whole number.
        code_if_missing: the problem of a request without it, if it is required.
    """

    name: str
    where: str
    is_integer: bool
    default: Any
    code_if_missing: str | None
    schema: jsonschema_rs.Validator

    def read(self, text: str) -> Any:
        """The value of a text.

        Raises:
            Problem: the schema does not allow it.
        """
        value = int(text) if self.is_integer and _INTEGER.fullmatch(text) else text
        if not self.schema.is_valid(value):
            what = _first_error(self.schema, value)
            message = f"{self.where} parameter {self.name}: {what}"
            raise Problem("invalid_argument", message, errors=[(self.name, what)])
        return value


def _first_error(schema: jsonschema_rs.Validator, value: Any) -> str:
    return next(iter(schema.iter_errors(value))).message[:300]


@dataclass(frozen=True)
class Content:
    """What a body of one media type has to be; `by_line`: each line of it."""

    schema: jsonschema_rs.Validator
    by_line: bool = False

    def errors(self, document: Any) -> list[tuple[str, str]]:
        """Pairs of where (a JSON pointer) and what."""
        if self.schema.is_valid(document):
            return []
        return [
            ("/" + "/".join(map(str, error.instance_path)), error.message[:300])
            for error in self.schema.iter_errors(document)
        ][:10]


@dataclass(frozen=True)
class Response:
    """What an answer of one status may be: its headers and, by media type, its content."""

    headers: Mapping[str, jsonschema_rs.Validator]
    content: Mapping[str, Content]


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    Attributes:
        template: such as `/customers/{customer_id}`.
        public: whether it needs no token.
        body: by media type; empty if it takes none.
        responses: by status; 0 stands for all that are not listed.
    """

    operation_id: str
    method: str
    template: str
    public: bool
    path: Mapping[str, Parameter]
    query: Mapping[str, Parameter]
    headers: Sequence[Parameter]
    body: Mapping[str, Content]
    responses: Mapping[int, Response]

    def read_query(self, query: bytes) -> dict[str, Any]:
        """The parameters in a query string, with the defaults of those that are not there.

        Raises:
            Problem: there is one that the operation does not have, one twice, or a bad one.
        """
        values = {name: parameter.default for name, parameter in self.query.items()}
        if not query:
            return values
        seen: set[str] = set()
        for name, text in _pairs(query):
            if name not in self.query or name in seen:
                what = "is there twice" if name in seen else "is not known"
                message = f"query parameter {name[:40]!r} {what}"
                raise Problem("invalid_argument", message, errors=[(name[:40], what)])
            seen.add(name)
            values[name] = self.query[name].read(text)
        return values

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Check the header parameters.

        Raises:
            Problem: one is bad, or a required one is missing.
        """
        for parameter in self.headers:
            text = headers.get(parameter.name)
            if text is not None:
                parameter.read(text)
            elif parameter.code_if_missing:
                message = f"the header {parameter.name} is required"
                raise Problem(parameter.code_if_missing, message)

    def response(self, status: int) -> Response | None:
        """What an answer of this status may be; None if it may not be at all."""
        return self.responses.get(status) or self.responses.get(0)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict",
                         max_num_fields=20, strict_parsing=True)  # fmt: skip
    except (ValueError, UnicodeDecodeError) as error:
        raise Problem("invalid_argument", f"the query string: {error}") from error


@dataclass(frozen=True)
class Match:
    """An operation, and the values in the path that chose it."""

    operation: Operation
    path: Mapping[str, Any]


class Specification:
    """All operations of an OpenAPI document.

    Args:
        document: the parsed document, valid OpenAPI 3.1.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.operations = {each.operation_id: each for each in _operations(document)}
        self._fixed: dict[str, dict[str, Operation]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Operation]]] = []
        for template, methods in self._by_template().items():
            if "{" in template:
                self._patterns.append((_pattern(template), methods))
            else:
                self._fixed[template] = methods

    @classmethod
    def load(cls, path: Path = OPENAPI) -> Specification:
        """Read a YAML document."""
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def _by_template(self) -> dict[str, dict[str, Operation]]:
        found: dict[str, dict[str, Operation]] = {}
        for operation in self.operations.values():
            found.setdefault(operation.template, {})[operation.method] = operation
        return found

    def match(self, method: str, path: str) -> Match:
        """The operation that a request asks for. HEAD is GET without the body.

        Raises:
            Problem: no resource is there, it has no such method, or the path has a bad value.
        """
        operation, texts = self.operation_at(method, path)
        return Match(
            operation, {name: operation.path[name].read(text) for name, text in texts.items()}
        )

    def operation_at(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
        """The operation, and the texts in the path, as they are.

        Raises:
            Problem: no resource is there, or it has no such method.
        """
        methods, texts = self._resource(path)
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise Problem(
                "method_not_allowed",
                f"{path} has no method {method[:20]}",
                headers={"allow": ", ".join(allowed(methods))},
            )
        return operation, texts

    def methods(self, path: str) -> list[str]:
        """What `Allow` lists.

        Raises:
            Problem: no resource is there.
        """
        return allowed(self._resource(path)[0])

    def _resource(self, path: str) -> tuple[dict[str, Operation], dict[str, str]]:
        if methods := self._fixed.get(path):
            return methods, {}
        for pattern, methods in self._patterns:
            if found := pattern.fullmatch(path):
                return methods, found.groupdict()
        raise Problem("not_found", f"nothing is at {path[:100]}")


def allowed(methods: Mapping[str, Operation]) -> list[str]:
    """The methods of a resource, with those that come for free."""
    return [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for template, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield _Compiler(document).operation(template, method, item)


class _Compiler:
    """Compiles what one document says. References (`$ref`) are looked up in the whole of it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def operation(self, template: str, method: str, item: dict[str, Any]) -> Operation:
        raw = item[method]
        parameters = [
            self._parameter(self._resolved(each))
            for each in [*item.get("parameters", []), *raw.get("parameters", [])]
        ]
        body = self._resolved(raw.get("requestBody", {}))
        return Operation(
            operation_id=raw["operationId"],
            method=method.upper(),
            template=template,
            public=raw.get("security") == [],
            path={each.name: each for each in parameters if each.where == "path"},
            query={each.name: each for each in parameters if each.where == "query"},
            headers=[each for each in parameters if each.where == "header"],
            body=self._content(body.get("content", {})),
            responses={
                0 if status == "default" else int(status): self._response(self._resolved(each))
                for status, each in raw["responses"].items()
            },
        )

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            target: Any = self._document
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node

    def _schema(self, schema: dict[str, Any]) -> jsonschema_rs.Validator:
        # The schema stands in a copy of the document's root, so that "#/components/..." is there.
        return jsonschema_rs.Draft202012Validator(
            {**schema, "components": self._document["components"]}, validate_formats=True
        )

    def _parameter(self, raw: dict[str, Any]) -> Parameter:
        missing = {400: "invalid_argument", 428: "precondition_required"}
        schema = self._resolved(raw["schema"])
        return Parameter(
            name=raw["name"].lower() if raw["in"] == "header" else raw["name"],
            where=raw["in"],
            is_integer=schema.get("type") == "integer",
            default=schema.get("default"),
            code_if_missing=(
                missing[raw.get("x-status-if-missing", 400)] if raw.get("required") else None
            ),
            schema=self._schema(raw["schema"]),
        )

    def _content(self, raw: dict[str, Any]) -> dict[str, Content]:
        content = {}
        for media_type, each in raw.items():
            by_line = "x-line-schema" in each
            schema = each["x-line-schema" if by_line else "schema"]
            content[media_type] = Content(self._schema(schema), by_line)
        return content

    def _response(self, raw: dict[str, Any]) -> Response:
        headers = {
            name.lower(): self._schema(self._resolved(each)["schema"])
            for name, each in raw.get("headers", {}).items()
        }
        return Response(headers, self._content(raw.get("content", {})))
