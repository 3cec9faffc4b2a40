"""Who may call the routes of the desk."""

from tests.architecture.access_matrix import Row

ROWS = {
    "desk.home": Row("public"),
    "desk.permissions": Row("public"),
    "desk.health": Row("public"),
    "desk.ready": Row("public"),
}
