"""The local pool: this machine as a node, its devices, and the profiles with their first prices.

Where there is no GPU the devices are simulated: sessions run on the processor, at the price of the real thing, and
everything else is as it will be. Device files of real GPUs come from the command line or an operator.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.compute.models import Device, DeviceType, Node, PriceVersion, Profile
from portal.compute.operations import prices
from portal.compute.states import ChargeClass, DeviceKind
from portal.core import audit
from portal.core.access import Actor
from portal.core.ids import new_id
from portal.core.quantities import UCR_PER_CREDIT

GIB = 2**30
SEAT, SLICE_10, SLICE_40, FULL_80 = "seat", "h100-10", "h100-40", "h100-80"


@dataclass(frozen=True)
class PlannedDevice:
    """A device to register; `paths` of device files for real ones, none for simulated ones and seats.

    board: the GPU that it is a slice of, where it is one; a whole GPU is its own.
    """

    name: str
    kind: DeviceKind
    device_class: str
    model: str
    paths: tuple[str, ...] = ()
    board: str | None = None


@dataclass(frozen=True)
class _Type:
    slug: str
    name: dict[str, str]
    memory_gb: int
    mig_profile: str | None
    slices_per_gpu: int
    idle_w: int
    full_w: int


# What a type draws: its share of the board's limit and of the idle board (NVIDIA H100 SXM: 700 W), with the host beside it.
TYPES = (
    _Type(SEAT, {"en": "Seat without a GPU", "fr": "Place sans GPU", "ar": "مقعد بدون معالج رسومي"}, 0, None, 1, 5, 50),
    _Type(SLICE_10, {"en": "H100 slice, 10 GB", "fr": "Tranche de H100, 10 Go", "ar": "شريحة H100 بسعة 10 غيغابايت"}, 10, "1g.10gb", 7, 10, 120),
    _Type(SLICE_40, {"en": "H100 slice, 40 GB", "fr": "Tranche de H100, 40 Go", "ar": "شريحة H100 بسعة 40 غيغابايت"}, 40, "3g.40gb", 2, 35, 360),
    _Type(FULL_80, {"en": "H100, whole", "fr": "H100 entier", "ar": "معالج H100 كامل"}, 80, None, 1, 70, 840),
)


@dataclass(frozen=True)
class LocalPlan:
    """What this machine gives: limits of a session with and without a GPU, and the devices."""

    memory_seat_bytes: int
    memory_gpu_bytes: int
    cpu_millicores: int
    devices: Sequence[PlannedDevice]


@dataclass(frozen=True)
class _Offer:
    slug: str
    name: dict[str, str]
    note: dict[str, str]
    device_class: str
    charge_class: ChargeClass
    gpu_memory_gb: int
    power_w: int
    rate_ucr_per_hour: int


# Names are data, in the languages of the house; staff may change them, so they are not in the catalogue.
OFFERS = (
    _Offer(
        "cpu-notebook",
        {"en": "CPU notebook", "fr": "Notebook CPU", "ar": "دفتر بدون معالج رسومي"},
        {"en": "for preparing data and reading results", "fr": "pour préparer des données et lire des résultats", "ar": "لتحضير البيانات وقراءة النتائج"},
        SEAT,
        ChargeClass.CPU,
        0,
        50,
        UCR_PER_CREDIT // 2,
    ),
    _Offer(
        "h100-slice-10",
        {"en": "H100 slice, small", "fr": "Tranche de H100, petite", "ar": "شريحة H100 صغيرة"},
        {"en": "for lessons and tests", "fr": "pour les cours et les essais", "ar": "للدروس والتجارب"},
        SLICE_10,
        ChargeClass.SLICE,
        10,
        120,
        4 * UCR_PER_CREDIT,
    ),
    _Offer(
        "h100-slice-40",
        {"en": "H100 slice, large", "fr": "Tranche de H100, grande", "ar": "شريحة H100 كبيرة"},
        {"en": "for fine-tuning", "fr": "pour l’ajustement de modèles", "ar": "لضبط النماذج"},
        SLICE_40,
        ChargeClass.SLICE,
        40,
        360,
        12 * UCR_PER_CREDIT,
    ),
    _Offer(
        "h100-full",
        {"en": "Full H100", "fr": "H100 entier", "ar": "معالج H100 كامل"},
        {"en": "for training", "fr": "pour l’entraînement", "ar": "للتدريب"},
        FULL_80,
        ChargeClass.FULL,
        80,
        840,
        28 * UCR_PER_CREDIT,
    ),
)


def plan_for(*, cores: int, memory_bytes: int, gpu_paths: Sequence[Sequence[str]] = ()) -> LocalPlan:
    """Return a plan for a machine: an eighth of its memory a session, within 1 to 32 GiB, and twice that with a GPU.

    gpu_paths: the device files of each real GPU; they replace the simulated full ones.
    """
    seat_bytes = min(max(memory_bytes // 8 // GIB, 1), 32) * GIB
    seats = max(2, min(64, memory_bytes // (2 * seat_bytes)))
    devices = [PlannedDevice(f"seat-{number}", DeviceKind.SEAT, SEAT, "CPU") for number in range(seats)]
    devices += [PlannedDevice(f"sim-0-10-{number}", DeviceKind.SIMULATED, SLICE_10, "H100, simulated", board="sim-0") for number in range(4)]
    devices += [PlannedDevice(f"sim-1-40-{number}", DeviceKind.SIMULATED, SLICE_40, "H100, simulated", board="sim-1") for number in range(2)]
    if gpu_paths:
        devices += [PlannedDevice(f"gpu-{number}", DeviceKind.NVIDIA, FULL_80, "H100", tuple(paths)) for number, paths in enumerate(gpu_paths)]
    else:
        devices += [PlannedDevice(f"sim-{number}", DeviceKind.SIMULATED, FULL_80, "H100, simulated") for number in (2, 3)]
    return LocalPlan(seat_bytes, 2 * seat_bytes, max(1, min(cores, 8)) * 1000, devices)


def plan_for_this_machine() -> LocalPlan:
    """Return a plan for the machine that this process runs on."""
    return plan_for(cores=os.cpu_count() or 1, memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def ensure_local_pool(db: Session, *, by: Actor, now: datetime, plan: LocalPlan | None = None) -> uuid.UUID:
    """Register this machine, its devices, profiles and first prices where they are missing; return the node's id.

    What is there already stays as it is: an operator may have changed it.
    """
    plan = plan or plan_for_this_machine()
    node_id = _ensure_node(db, by=by, now=now)
    db.execute(insert(DeviceType).values([{"id": new_id(), **asdict(kind)} for kind in TYPES]).on_conflict_do_nothing())
    rows = [
        {
            "id": new_id(),
            "node_id": node_id,
            "name": device.name,
            "kind": device.kind.value,
            "device_class": device.device_class,
            "board": device.board or (None if device.kind is DeviceKind.SEAT else device.name),
            "is_slice": device.board is not None,
            "model": device.model,
            "paths": list(device.paths),
            "is_open": True,
            "registered_at": now,
        }
        for device in plan.devices
    ]
    db.execute(insert(Device).values(rows).on_conflict_do_nothing())
    db.execute(insert(Profile).values(list(_profile_rows(plan))).on_conflict_do_nothing())
    _ensure_prices(db, by=by, now=now)
    return node_id


def _ensure_node(db: Session, *, by: Actor, now: datetime) -> uuid.UUID:
    row = insert(Node).values(id=new_id(), name="local", engine="local", is_open=True, registered_at=now)
    made = db.execute(row.on_conflict_do_nothing().returning(Node.id)).scalar_one_or_none()
    if made is not None:
        audit.record(db, "registered", "compute_node", made, by=by, now=now, name="local")
        return made
    return db.execute(select(Node.id).where(Node.name == "local")).scalar_one()


def _profile_rows(plan: LocalPlan) -> Iterator[dict[str, object]]:
    for position, offer in enumerate(OFFERS):
        yield {
            "id": new_id(),
            "slug": offer.slug,
            "name": offer.name,
            "note": offer.note,
            "device_class": offer.device_class,
            "charge_class": offer.charge_class.value,
            "cpu_millicores": plan.cpu_millicores,
            "memory_limit_bytes": plan.memory_gpu_bytes if offer.gpu_memory_gb else plan.memory_seat_bytes,
            "gpu_memory_gb": offer.gpu_memory_gb,
            "power_w": offer.power_w,
            "position": position,
            "is_open": True,
        }


def _ensure_prices(db: Session, *, by: Actor, now: datetime) -> None:
    priced = select(PriceVersion.profile_id)
    missing = db.execute(select(Profile.id, Profile.slug).where(Profile.id.not_in(priced))).all()
    rates = {offer.slug: offer.rate_ucr_per_hour for offer in OFFERS}
    for profile_id, slug in missing:
        if slug in rates:
            prices.set_price(db, profile_id=profile_id, rate_ucr_per_hour=rates[slug], starts_at=now, by=by, now=now)
