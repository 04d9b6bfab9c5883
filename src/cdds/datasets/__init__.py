"""The datasets that come with the library: Contact History, after its published schemas.

Place: above the values. A dataset is a value, `cdds.Dataset`; a host makes its own the same way:

    >>> from cdds import Dataset, DataFile
    >>> survey = Dataset("Survey", [DataFile(name="answer", label="Survey",
    ...     key="ID", timestamps=["GIVEN"], schema={"type": "object", "required": ["ID"],
    ...     "properties": {"ID": {"type": "string"}, "GIVEN": {"type": "string"}}})])

This room reads only the schema files that are shipped in it.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from cdds.errors import JobError
from cdds.model import DataFile, Dataset

__all__ = ["BUILTIN", "CONTACT", "INTERACTION", "find"]


def _schema(name: str) -> dict[str, Any]:
    text = files(__package__).joinpath("schemas", f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


INTERACTION = Dataset(
    "Interaction",
    [
        DataFile(
            name="interaction",
            label="Interaction",
            schema=_schema("interaction"),
            key="IXNID",
            timestamps=("STARTDATE",),
            media_type="MEDIATYPEID",
        ),
        DataFile(
            name="document",
            label="Interaction-Attachment",
            schema=_schema("document"),
            key="ID",
            parent="interaction",
            parent_key="ENTITYID",
        ),
    ],
)
"""Interactions, and the documents attached to them."""

CONTACT = Dataset(
    "Contact",
    [
        DataFile(
            name="contact",
            label="Contact",
            schema=_schema("contact"),
            key="CONTACTID",
            timestamps=("MODIFIEDDATE", "CREATEDDATE"),
        ),
        DataFile(
            name="contactattribute",
            label="ContactAttribute",
            schema=_schema("contactattribute"),
            key="ID",
            parent="contact",
            parent_key="CONTACTID",
        ),
    ],
)
"""Contacts, and their attributes."""

BUILTIN = (INTERACTION, CONTACT)


def find(dataset: Dataset | str) -> Dataset:
    """Return the dataset itself, or the built-in one of that name (case does not matter).

    Raises:
        JobError: there is none of that name.
    """
    if isinstance(dataset, Dataset):
        return dataset
    for known in BUILTIN:
        if isinstance(dataset, str) and dataset.casefold() == known.name.casefold():
            return known
    names = ", ".join(known.name for known in BUILTIN)
    raise JobError(f"there is no dataset {dataset!r}; known are {names}, or pass a cdds.Dataset")
