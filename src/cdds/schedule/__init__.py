"""When a job runs: recurrences as pure values.

Place: near the ground; the catalog stores recurrences and the service asks them. Nothing here opens
anything or looks at a clock: moments are arguments.
"""

from cdds.schedule.planner import Misfire, Missed, Pending, Plan, Start, plan
from cdds.schedule.recurrence import Hourly, Once, Recurrence, from_json, to_json

__all__ = [
    "Hourly",
    "Misfire",
    "Missed",
    "Once",
    "Pending",
    "Plan",
    "Recurrence",
    "Start",
    "from_json",
    "plan",
    "to_json",
]
