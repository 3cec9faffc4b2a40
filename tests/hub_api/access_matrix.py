"""Rows of the hub's interface in the permission matrix."""

from tests.architecture.access_matrix import Row

ROWS = {
    "hub_api.health": Row("machine", relation="the hub's plug-in key"),
    "hub_api.redeem_ticket": Row("machine", relation="the hub's plug-in key"),
    "hub_api.receive_observations": Row("machine", relation="the hub's plug-in key"),
}
