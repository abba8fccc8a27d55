"""Without an attack the update goes through: what the others prove would else be worth nothing."""

from tests.deploy.attacks.world import World


def test_an_update_that_nobody_attacks(world: World) -> None:
    world.get().done()
    assert world.pedal.version() == 2
    world.get().done()
    active = world.pedal.slots().active
    assert active is not None and active.state == "good"
    assert world.pedal.store_bytes() == 0
