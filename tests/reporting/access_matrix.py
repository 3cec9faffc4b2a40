"""Who may call the routes of reporting."""

from collections.abc import Mapping

from portal.reporting.permissions import Permission
from tests.architecture.access_matrix import ObjectMaker, Row

ROWS = {
    "reporting.report_list": Row("permission", permission=Permission.SEE_REPORTS),
    "reporting.report": Row("permission", permission=Permission.SEE_REPORTS),
    "reporting.report_file": Row("permission", permission=Permission.SEE_REPORTS),
}
OBJECTS: Mapping[str, ObjectMaker] = {}
