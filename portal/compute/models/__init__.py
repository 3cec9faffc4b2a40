"""Tables of compute; private to the domain."""

from portal.compute.models.allowances import Allowance, AllowanceAsk
from portal.compute.models.evidence import HubAgent, HubWatch, Observation, QuarantinedObservation, ServerProcess
from portal.compute.models.incidents import Incident, IncidentSession
from portal.compute.models.pool import Device, DeviceType, Node, PoolWindow, PriceVersion, Profile, Quota
from portal.compute.models.sessions import ComputeSession, DeviceHold, SessionFile, Ticket

__all__ = [
    "Allowance",
    "AllowanceAsk",
    "ComputeSession",
    "Device",
    "DeviceHold",
    "DeviceType",
    "HubAgent",
    "HubWatch",
    "Incident",
    "IncidentSession",
    "Node",
    "Observation",
    "PoolWindow",
    "PriceVersion",
    "Profile",
    "QuarantinedObservation",
    "Quota",
    "ServerProcess",
    "SessionFile",
    "Ticket",
]
