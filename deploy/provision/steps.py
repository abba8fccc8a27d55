"""The table: everything between a bare machine and a playing pedal, in order."""

from deploy.provision import board, code, host, isolation, settings, updates
from deploy.provision.step import Step

STEPS = (
    Step("Debian packages", host.packages_missing, host.install_packages),
    Step("user and groups", host.user_missing, host.make_user),
    Step("code", code.code_missing, code.copy_code, needless=code.is_its_own_source),
    Step("environment", code.environment_missing, code.make_environment),
    Step("registration", code.registration_missing, code.register),
    Step("bytecode", code.bytecode_missing, code.compile_code),
    Step("pedal.toml", settings.config_missing, settings.put_config),
    Step("presets", settings.presets_missing, settings.put_presets),
    Step("units and settings", host.files_missing, host.put_files),
    Step("no upgrades unasked", host.upgrades_happen, host.stop_upgrades),
    Step("folders", host.folders_missing, host.make_folders),
    Step("choice of firmware", updates.tool_missing, updates.put_tool),
    Step("firmware in use", updates.firmware_outdated, updates.play_provisioned),
    Step("compiled wheels", updates.wheels_missing, updates.build_wheels),
    Step("update.toml", updates.settings_missing, updates.put_settings),
    Step("root of trust", updates.trust_missing, updates.put_trust, advice=True),
    Step(
        "real-time kernel",
        board.realtime_kernel_missing,
        needless=board.not_running,
        advice=True,
    ),
    Step(
        "real-time priorities",
        board.realtime_share_missing,
        board.grant_realtime_share,
        needless=board.shares_no_realtime,
    ),
    Step(
        "power mode",
        board.power_mode_missing,
        board.set_power_mode,
        needless=board.not_a_running_jetson,
        advice=True,
    ),
    Step("converter's bus", board.bus_missing, needless=board.not_running),
    Step("pins", board.pins_missing, needless=board.not_running),
    Step("interface", board.card_missing, needless=board.not_running, advice=True),
    Step("ways of the knob", settings.ways_missing, settings.find_ways, advice=True),
    Step("services", host.services_missing, host.enable_services),
    # Last: whoever gives audio a processor that is not there has a pedal all the same.
    Step(
        "processors",
        isolation.affinity_missing,
        isolation.set_affinity,
        needless=isolation.needs_no_cpus,
    ),
    Step(
        "kernel command line",
        isolation.command_line_missing,
        isolation.set_command_line,
        needless=isolation.has_no_extlinux,
    ),
)
