"""The wire of AWS's APIs, both ways, after botocore's own service models: queries and XML for EC2 and STS, JSON else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import botocore.session

REQUEST_ID = "4f1d9c27-0000-4000-8000-0e86a53c27e0"

MODELS = {"ec2": "ec2", "sts": "sts", "pricing": "pricing", "servicequotas": "service-quotas"}
"""Botocore's name of each service by the name that requests are signed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: the service and region that it is signed for, the operation, and what was asked."""

    service: str
    region: str
    key: str
    """The access key that it is signed with."""
    operation: str
    form: Mapping[str, tuple[str, ...]]
    """A query's fields; empty for JSON."""
    body: Mapping[str, Any]
    """A JSON request; empty for queries."""

    @property
    def action(self) -> str:
        """Its name in an IAM policy."""
        return f"{self.service}:{self.operation}"

    def field(self, name: str) -> str:
        """One field of a query, empty where it is absent."""
        return next(iter(self.form.get(name, ())), "")

    def listed(self, name: str) -> tuple[str, ...]:
        """`InstanceType.1`, `InstanceType.2`, ... of a query."""
        found = [(int(k.rpartition(".")[2]), v) for k, v in self.form.items() if _is_item(k, name)]
        return tuple(value for _, (value, *_) in sorted(found))

    def filters(self) -> dict[str, tuple[str, ...]]:
        """`Filter.1.Name` with its values, of a query."""
        numbers = {k.split(".")[1] for k in self.form if k.startswith("Filter.")}
        return {self.field(f"Filter.{n}.Name"): self.listed(f"Filter.{n}.Value") for n in numbers}


def read(headers: Mapping[str, str], content: bytes) -> Asked:
    """The request that these headers and this body are."""
    scope = headers.get("Authorization", "").partition("Credential=")[2].partition(",")[0]
    key, _, region, service, *_ = [*scope.split("/"), "", "", "", ""]
    target = headers.get("X-Amz-Target", "")
    if target:
        operation = target.rpartition(".")[2]
        body = json.loads(content)
        return Asked(service=service, region=region, key=key, operation=operation, form={}, body=body)
    form = {k: tuple(v) for k, v in parse_qs(content.decode()).items()}
    (operation,) = form.get("Action", ("",))
    return Asked(service=service, region=region, key=key, operation=operation, form=form, body={})


def answer(asked: Asked, told: Mapping[str, Any]) -> tuple[bytes, str]:
    """An answer as bytes with its content type."""
    if asked.body:
        return json.dumps(told, default=str).encode(), "application/x-amz-json-1.1"
    output = _model(asked.service).operation_model(asked.operation).output_shape
    inner = "".join(_element(output.members[name], name, value) for name, value in told.items())
    tag = f"{asked.operation}Response"
    if asked.service == "sts":
        result = f"<{asked.operation}Result>{inner}</{asked.operation}Result>"
        text = (
            f"<{tag}>{result}<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{tag}>"
        )
    else:
        text = f"<{tag}><requestId>{REQUEST_ID}</requestId>{inner}</{tag}>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(), "text/xml;charset=UTF-8"


def error(asked: Asked, code: str, message: str) -> tuple[bytes, str]:
    """A refusal as bytes with its content type."""
    if asked.body:
        return json.dumps({"__type": code, "message": message}).encode(), "application/x-amz-json-1.1"
    inner = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if asked.service == "sts":
        text = f"<ErrorResponse>{inner}<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    else:
        text = f"<Response><Errors>{inner}</Errors><RequestID>{REQUEST_ID}</RequestID></Response>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(), "text/xml;charset=UTF-8"


def _is_item(field: str, name: str) -> bool:
    return field.startswith(f"{name}.") and field[len(name) + 1 :].isdigit()


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(MODELS[service])


def _element(shape: Any, name: str, value: Any) -> str:
    """One member, by its own name on the wire; members that the model does not have are errors of the double."""
    tag = shape.serialization.get("name", name)
    if shape.type_name == "structure":
        inner = "".join(_element(shape.members[k], k, v) for k, v in value.items() if k in shape.members)
        return f"<{tag}>{inner}</{tag}>"
    if shape.type_name == "list":
        return f"<{tag}>{''.join(_element(_item(shape.member), 'item', v) for v in value)}</{tag}>"
    if shape.type_name == "boolean":
        return f"<{tag}>{str(value).lower()}</{tag}>"
    return f"<{tag}>{escape(str(value))}</{tag}>"


class _Named:
    """A shape under another name."""

    def __init__(self, shape: Any, name: str) -> None:
        self._shape = shape
        self.serialization = {**shape.serialization, "name": name}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shape, name)


def _item(shape: Any) -> Any:
    return _Named(shape, "item")
