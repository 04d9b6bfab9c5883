"""Contract tests for sources and sinks: the laws that the library relies on, ready to be run.

Place: above everything, for the tests of plugins and hosts. It needs pytest, which the extra
``testing`` brings, and is loaded by nothing of the library. A contract is a class of tests; who has
written a source or a sink subclasses it and says how one is made:

    class TestCrmSource(cdds.testing.SourceContract):
        @pytest.fixture
        def new_source(self, tmp_path):
            return lambda records: CrmSource(write(tmp_path, records))

Each law stands in the docstring of its test. What an author may state besides, such as how finely
a source tells moments apart, is an attribute or a method of the class, with its meaning there.
"""

import pytest

# So that a failed assertion shows what it compared; before the modules are loaded.
pytest.register_assert_rewrite("cdds.testing.sinks", "cdds.testing.sources", "cdds.testing.storage")

from cdds.testing.sinks import SinkContract  # noqa: E402
from cdds.testing.sources import SourceContract  # noqa: E402
from cdds.testing.storage import StorageContract  # noqa: E402

__all__ = ["SinkContract", "SourceContract", "StorageContract"]
