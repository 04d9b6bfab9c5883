"""The examples of the guide's export reference, as records: each goes through an export whole.

Their fields and types are those of the guide's examples; long texts are cut short.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft7Validator

from cdds import sample

MAIL = "UmV0dXJuLVBhdGg6IENsaWVudDFAY3VzdC5kZXYNCg=="
EXAMPLES: dict[str, dict[str, Any]] = {
    "interaction": {
        "STARTDATE": "2012-03-30T10:29:50.407Z",
        "MIMETYPE": "message/rfc822",
        "HEADER": MAIL,
        "ENTITYTYPEID": 0,
        "CONTENT": MAIL,
        "SUBTYPEID": "InboundNew",
        "CONTACTID": "0000Xa6VJTW000M",
        "OWNERID": 126,
        "MAILBOX": '"Contact Center"',
        "CREATORAPPID": 171,
        "MEDIATYPEID": "email",
        "STATUS": 3,
        "TENANTID": 101,
        "IXNID": "0002Ha7QB2MX000R",
        "FROMADDRESS": "Client1@cust.dev",
        "CANBEPARENT": 1,
        "TEXT": " 0 Test memory leak ",
        "TOADDRESSES": "main@mcr.dev",
        "ENDDATE": "2012-03-30T10:29:32.957Z",
        "THREADHASH": 20772491,
        "EXTERNALID": "",
        "ALLATTRIBUTES": {
            "CBR-actual_volume": "",
            "ServiceObjective": 0,
            "Mailbox": '"Contact Center"',
            "IWAttachedDataInformation": {"DispositionCode.Key": "DispositionCode"},
            "RRequestedSkills": {},
            "PegAGAgent Group 80001": 1,
        },
        "TIMESHIFT": 120,
        "SENTDATE": "2012-03-30T10:28:14.000Z",
        "THESIZE": 622,
        "SUBJECT": "Automatic tests via Sikuli - Check memory leak",
        "THREADID": "0002Ha7QB2MX000S",
        "TYPEID": "Inbound",
    },
    "document": {
        "ID": "0003Ra7VSTDP03H0",
        "MIMETYPE": "message/rfc822",
        "DESCRIPTION": "",
        "ENTITYTYPEID": 0,
        "CONTENT": MAIL,
        "THENAME": "OriginalMsg.eml",
        "DOCUMENTID": "0003Ra7VSTDP03H0",
        "ENTITYID": "0003Ra7VSTDP03FU",
        "THESIZE": 628,
    },
    "contact": {
        "CONTACTID": "00001a57JG000039",
        "STRATTRIBUTE4": "Joseph",
        "TENANTID": 101,
        "CREATEDDATE": "2009-08-05T08:30:25.467Z",
        "STRATTRIBUTE2": "A.Joseph@mycompany.com",
        "MODIFIEDDATE": "2009-08-05T08:30:25.513Z",
        "STRATTRIBUTE5": "A",
    },
    "contactattribute": {
        "ID": "00001a57JGQ0003A",
        "CONTACTID": "00001a57JGQ00039",
        "STRVALUELOWERCASE": "joseph",
        "ISPRIMARY": 1,
        "ATTRIBUTEID": "00001a57JGQ00008",
        "STRVALUE": "Joseph",
        "ATTRIBUTENAME": "LastName",
    },
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fits_its_schema(name: str) -> None:
    schema = json.loads((files("cdds.datasets") / "schemas" / f"{name}.json").read_text())
    Draft7Validator(schema).validate(EXAMPLES[name])
    assert EXAMPLES[name].keys() <= schema["properties"].keys()


def test_status_goes_from_new_to_stopped() -> None:
    statuses = {record["STATUS"] for record in sample.interactions(500, seed=1)}
    assert statuses == {0, 1, 2, 3}


def test_contact_ids_have_16_characters() -> None:
    assert {len(contact["CONTACTID"]) for contact in sample.contacts(100, seed=1)} == {16}


def test_the_lower_case_of_an_attribute_is_kept_beside_it() -> None:
    values = [
        attribute for attribute in sample.contact_attributes(100, seed=1) if "STRVALUE" in attribute
    ]
    assert values
    assert all(value["STRVALUELOWERCASE"] == value["STRVALUE"].lower() for value in values)
