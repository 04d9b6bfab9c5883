"""Made-up contact-centre records, from a seed: for tests, benchmarks and first steps.

Place: beside the library, imported by nothing in it. What it yields are plain dicts with the keys
of the Contact History schemas, in their order, without nulls, one at a time.

    >>> from cdds import sample
    >>> next(sample.interactions(1, seed=7))["STATUS"]
    3

Every record is made from its seed and its index alone. So the same seed gives the same records
on any machine, record 1,000,000 costs no more than record 0, and shards made in parallel
(``first=``) are the pieces of one stream. `corpus` gives up that last promise for speed.

`load` puts them into a UCS database, made for them; the command is ``python -m cdds.sample``.

It refuses to look at a clock, and at a file or a network except to load; and it holds no real
person's data: every name, address and sentence is put together here. All mail domains are
reserved ones.
"""

from cdds.sample._bulk import corpus
from cdds.sample._contact import contact, contact_attributes, contacts
from cdds.sample._document import documents
from cdds.sample._interaction import interaction, interactions
from cdds.sample._lines import Record, write_lines
from cdds.sample._load import Loaded, load
from cdds.sample._mix import Kind, Mix

__all__ = [
    "Kind",
    "Loaded",
    "Mix",
    "Record",
    "contact",
    "contact_attributes",
    "contacts",
    "corpus",
    "documents",
    "interaction",
    "interactions",
    "load",
    "write_lines",
]
