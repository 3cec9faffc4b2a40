"""What the tests of incubation send with a form."""

from flask.testing import FlaskClient

from tests.factories import identity as people


def tokens(client: FlaskClient) -> dict[str, str]:
    """Return this browser's CSRF token and a new once-token."""
    with client.application.app_context():
        return people.csrf(client)
