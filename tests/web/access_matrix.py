"""Who may call the routes of the web floor."""

from tests.architecture.access_matrix import Row

ROWS = {
    "reader.choose_language": Row("public"),
    "reader.choose_theme": Row("public"),
    "assets.file": Row("public"),
}
