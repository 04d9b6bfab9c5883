"""When a job runs: recurrences as pure values, and the planner as a pure function.

Place: near the ground; the catalog stores recurrences and the service asks them. Nothing here opens
anything or looks at a clock: moments are arguments. (`upcoming` alone takes the present moment
where none is given.)
"""

from cdds.schedule.json_form import from_json, to_json
from cdds.schedule.planner import Misfire, Missed, Pending, Plan, Retry, Start, overdue, plan
from cdds.schedule.recurrence import Daily, Hourly, Monthly, Once, Recurrence, Weekly
from cdds.schedule.rrule import RRule

__all__ = [
    "Daily",
    "Hourly",
    "Misfire",
    "Missed",
    "Monthly",
    "Once",
    "Pending",
    "Plan",
    "RRule",
    "Recurrence",
    "Retry",
    "Start",
    "Weekly",
    "from_json",
    "overdue",
    "plan",
    "to_json",
]
