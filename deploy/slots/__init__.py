"""Two slots for each component, one of them active: always one that is good, whatever happens.

At boot the system's own Python reads this, before any slot's: the standard library is all it needs.
"""

from deploy.slots.slots import MOST_BOOTS, Slots
from deploy.slots.state import SlotState

__all__ = ["MOST_BOOTS", "SlotState", "Slots"]
