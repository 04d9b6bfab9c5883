"""The scheduler: runs what is due, once, however many schedulers share a catalog.

Place: above the service, whose runs it begins; a host makes one, or calls the service itself. It
has no rule of when a job is due, which is `schedule`'s, and no rule of a run, which is `service`'s.
"""

from cdds.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
