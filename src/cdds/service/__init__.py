"""The Cloud Data Download Service as an API: jobs, history, artifacts, preferences.

Place: above the exporter and the catalog, which it joins; a host puts its own screens in front of
it. Each page of the guide is a file here. It authenticates nobody, and starts threads only for
runs and chores in progress, which keep their leases.
"""

from cdds.service.download import Download
from cdds.service.reconciliation import Reconciled
from cdds.service.removal import Removed
from cdds.service.retention import Plan, Swept
from cdds.service.service import DownloadService

__all__ = ["Download", "DownloadService", "Plan", "Reconciled", "Removed", "Swept"]
