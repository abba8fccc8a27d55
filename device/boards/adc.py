"""Analogue to digital converters that read knob and expression pedal: one door for both kinds.

``open_adc`` gives one converter; ``channel(n)`` of it is a ``Knob`` of the board. Both share the
converter's check of itself, which is made once per turn of the control loop.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from device.boards.board import Knob
from device.errors import ConfigError

AdcKind = Literal["mcp3008", "ads1115"]


class Adc(Protocol):
    """A converter that is open."""

    def channel(self, number: int) -> Knob:
        """What reads one of its channels; which must have been named at ``open_adc``."""

    def close(self) -> None:
        """Release the bus; may be called twice."""


def open_adc(
    kind: AdcKind,
    bus: int = 0,
    device: int = 0,
    channels: Sequence[int] = (0,),
    reference: int | None = None,
) -> Adc:
    """Open a converter and see that it answers.

    ``mcp3008``: /dev/spidev``bus``.``device``; ``reference`` is the channel on the half-reference
    divider, by default 7. ``ads1115``: /dev/i2c-``bus``, ``device`` its address, 0 meaning 0x48;
    ``reference`` is the channel on the 3.3 V supply, by default 3. A negative ``reference``: there
    is none, and an MCP3008's dead bus cannot then be told from a knob at its end.

    Raises ``ConfigError`` where there is no such bus, no right to use it or no such channel, and
    ``OSError`` where the bus is there and the converter does not answer: that may mend itself.
    """
    if kind == "mcp3008":
        from device.boards.mcp3008 import HALF_REFERENCE, Mcp3008

        half = HALF_REFERENCE if reference is None else reference
        _check_channels(kind, [*channels, *([half] if half >= 0 else [])], 8)
        return Mcp3008(bus, device, half if half >= 0 else None)
    if kind == "ads1115":
        from device.boards.ads1115 import ADDRESS, SUPPLY_CHANNEL, Ads1115

        supply = SUPPLY_CHANNEL if reference is None else reference
        _check_channels(kind, [*channels, *([supply] if supply >= 0 else [])], 4)
        return Ads1115(bus, device or ADDRESS, channels, supply if supply >= 0 else None)
    raise ConfigError(f"there is no converter {kind!r}; the knob's kind is mcp3008 or ads1115")


def _check_channels(kind: str, channels: Sequence[int], count: int) -> None:
    """Refuse channels that the converter does not have, and one used for two things."""
    for channel in channels:
        if not 0 <= channel < count:
            raise ConfigError(f"channel {channel}: the {kind} has channels 0…{count - 1}")
        if list(channels).count(channel) > 1:
            raise ConfigError(
                f"channel {channel} of the {kind} is used twice: knob, expression pedal and "
                "reference need one each"
            )


def refused(place: str, what: str, error: OSError, advice: str) -> ConfigError:
    """Why a bus cannot be opened, in one sentence; ``advice`` for one that is not there."""
    if isinstance(error, FileNotFoundError):
        return ConfigError(f"{place}: there is no such {what}; {advice}")
    if isinstance(error, PermissionError):
        group = what.split()[0].replace("²", "2").lower()
        return ConfigError(f"{place}: no right to use it; add the pedal's user to group {group}")
    return ConfigError(f"{place}: cannot be opened ({error.strerror or error}); {advice}")
