"""The Cloud Data Download Service as an API: jobs, history, artifacts, preferences.

Place: above the exporter and the catalog, which it joins; a host puts its own screens in front of
it. Each page of the guide is a file here. It authenticates nobody and starts no thread of its own
but one for each run in progress.
"""

from cdds.service.download import DownloadService

__all__ = ["DownloadService"]
