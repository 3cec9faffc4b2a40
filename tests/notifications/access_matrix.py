"""Who may call notifications' routes."""

from tests.architecture.access_matrix import Row

ROWS = {
    "notifications.messages": Row("signed_in", relation="one's own"),
    "notifications.message": Row("signed_in", relation="one's own; tested in test_delivery"),
    "notifications.mails": Row("public", relation="in development alone; 404 otherwise"),
    "notifications.mail": Row("public", relation="in development alone; 404 otherwise"),
}
