"""Content by its hash: how a release's files are cut, stored, planned and put together again."""

from deploy.chunks.assembly import assemble
from deploy.chunks.cutting import split
from deploy.chunks.describing import Frames, describe
from deploy.chunks.difference import difference
from deploy.chunks.frames import pack_all
from deploy.chunks.patch import apply
from deploy.chunks.planning import Base, Need, Plan, plan
from deploy.chunks.store import Store, place

__all__ = [
    "Base",
    "Frames",
    "Need",
    "Plan",
    "Store",
    "apply",
    "assemble",
    "describe",
    "difference",
    "pack_all",
    "place",
    "plan",
    "split",
]
