"""The last word on a line that the fast acceptor did not accept.

Place: the slow path of the gate. It parses the line for itself and asks ``jsonschema``, the
reference. Its messages name the rule and the place in the schema, never what the record holds:
not even the names of members that the schema does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NoReturn

import msgspec

from cdds.errors import JobError
from cdds.members import json_of, members_of
from cdds.records.acceptor import compile_acceptor
from cdds.records.nulls import not_nullable
from cdds.refusal import TOO_DEEP, Refusal


class Verdict:
    """Judges lines by a JSON Schema of draft 7, or for JSON syntax alone when there is none."""

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self._schema = schema
        self._not_nullable = frozenset() if schema is None else not_nullable(schema)

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import (  # slow to load, and most exports never need it
            Draft7Validator,
            SchemaError,
        )
        from jsonschema_specifications import REGISTRY  # which fetches nothing from elsewhere

        try:
            Draft7Validator.check_schema(self._schema or {})
        except SchemaError as error:
            raise JobError(f"a data file's schema is no JSON Schema: {error.message}") from None
        return Draft7Validator(self._schema or {}, registry=REGISTRY)

    def check_schema(self) -> None:
        """Refuse a schema that is none.

        Raises:
            JobError: the schema breaks the rules of draft 7.
        """
        _ = self._validator

    def check(self, line: bytes) -> bytes:
        """Return a line that a host's function has made, as it is to be exported.

        Raises:
            Refusal: the record breaks the schema.
        """
        if self.accepts(line):
            return line
        fault: Refusal | None = None
        try:
            return self.judge(line, parse(line))
        except Refusal as refusal:
            fault = refusal.with_traceback(None)
        raise Refusal(f"after its transforms {fault.rule}", fault.field)

    def accepts(self, line: bytes) -> bool:
        """Tell whether a line is surely valid, where it is UTF-8; the others have to be judged."""
        if self._acceptor is None:
            return False
        try:
            self._acceptor.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return True

    @cached_property
    def _acceptor(self) -> msgspec.json.Decoder[Any] | None:
        compiled = compile_acceptor(self._schema or {})
        return None if compiled is None else compiled[0]

    def judge(self, line: bytes, record: dict[str, Any]) -> bytes:
        """Return the line to export, given the record that `parse` found in it.

        It is the line as it stands, unless it breaks the schema: then nulls at its top level that
        the schema does not allow are taken out, and every other value stays as it was written.

        Raises:
            Refusal: the record breaks the schema.
        """
        fault = self._fault(record)
        if fault is None:
            return line
        nulls = {name for name, value in record.items() if value is None}
        for names in (nulls & self._not_nullable, nulls):
            bare = {name: value for name, value in record.items() if name not in names}
            if names and self._fault(bare) is None:
                members = members_of(line)
                record.clear()
                record |= bare
                return json_of({name: members[name] for name in bare}) + b"\n"
        raise fault

    def _fault(self, record: dict[str, Any]) -> Refusal | None:
        if self._schema is None:
            return None
        try:
            error = next(self._validator.iter_errors(record), None)
        except RecursionError:
            return Refusal(TOO_DEEP)
        except Exception as failure:  # noqa: BLE001  # a pattern or a reference that does not work
            kind = type(failure).__name__
            error = None
        else:
            kind = ""
        if kind:
            raise JobError(f"the schema cannot be applied ({kind}); correct it")
        return None if error is None else _refusal(error)


def parse(line: bytes) -> dict[str, Any]:
    """Return the object that a line holds; integers of any size and lone surrogates are kept.

    Raises:
        Refusal: it is no UTF-8, no JSON, no object, or nested too deeply.
    """
    value, fault = _parse(line)
    if fault is not None:  # raised outside the handler: its context would hold the line
        raise fault
    if not isinstance(value, dict):
        raise Refusal("the line is no JSON object")
    return value


def _parse(line: bytes) -> tuple[Any, Refusal | None]:
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_no_constant), None
    except Refusal as refusal:
        return None, refusal
    except UnicodeDecodeError as error:
        return None, Refusal(f"it is not UTF-8 (at byte {error.start + 1} of the line)")
    except json.JSONDecodeError as error:
        return None, Refusal(f"it is not JSON ({error.msg}, at character {error.pos + 1})")
    except RecursionError:
        return None, Refusal(TOO_DEEP)
    except ValueError:  # int() refuses numbers of more than 4,300 digits
        return None, Refusal("it holds a number too long to be read")


def _no_constant(name: str) -> NoReturn:
    raise Refusal(f"it is not JSON ({name} is no JSON value)")


def _refusal(error: Any) -> Refusal:
    """Put a jsonschema error into words that come from the schema alone."""
    path = [part for part in error.absolute_schema_path if isinstance(part, str)]
    field = path[path.index("properties") + 1] if "properties" in path[:-1] else None
    value = error.validator_value
    match error.validator:
        case "type":
            wanted = value if isinstance(value, str) else " or ".join(value)
            return Refusal(f"its type must be {wanted}", field)
        case "required":
            missing = next((name for name in value if name not in error.instance), None)
            return Refusal(f"{missing} is required and missing", field)
        case "additionalProperties":
            return Refusal("it has a member that the schema does not allow", field)
        case _:
            return Refusal(f"it breaks the schema's rule {error.validator!r}", field)
