"""Transforms: what is changed in records on their way, so that less personal data leaves the house.

Place: between the gate, which selects and validates records as the source gave them, and the
archive, whose schemas and manifest tell what was changed. Each is a frozen value; see
`cdds.export(transforms=...)`. Nothing is opened here, and no key or record is ever shown.

>>> from cdds import transforms as t
>>> transforms = {
...     "interaction": [
...         t.Drop("FROMADDRESS", "ALLATTRIBUTES.*.Phone"),
...         t.Mask("PHONENUMBER", keep_last=4),
...         t.Pseudonymise("CONTACTID", key=secret),
...         t.Apply(str.casefold, "SUBJECT"),
...     ],
... }
"""

from cdds.transforms.chain import Chain
from cdds.transforms.disguise import Mask, Pseudonymise
from cdds.transforms.fields import Drop, Keep
from cdds.transforms.functions import Apply, ApplyToRecord

__all__ = ["Apply", "ApplyToRecord", "Chain", "Drop", "Keep", "Mask", "Pseudonymise"]
