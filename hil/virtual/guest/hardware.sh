#!/bin/sh
# The virtual pedal's hardware, made before the pedal starts: pins, interface, converter,
# temperatures, MIDI, watchdog. /job/hardware holds words that leave something out.
set -eu
left_out() { grep -qw "$1" /job/hardware 2>/dev/null; }

# Pins: the chips' labels and sizes are those of an Orin's.
modprobe gpio-sim
sim=/sys/kernel/config/gpio-sim
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
mkdir -p $sim/pedal/main $sim/pedal/aon
echo 164 >$sim/pedal/main/num_lines
echo tegra234-gpio >$sim/pedal/main/label
echo 32 >$sim/pedal/aon/num_lines
echo tegra234-gpio-aon >$sim/pedal/aon/label
echo 1 >$sim/pedal/live
# The footswitch is open: its pull-up holds the line high.
for line in /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio105; do echo pull-up >"$line/pull"; done

# The knob stands on A, the expression pedal in the middle, the reference divider on half.
left_out spi || { modprobe mcp3008_sim modalias=dh2228fv ch=12,512,0,0,0,0,0,512; modprobe spidev; }
left_out card || modprobe snd-aloop pcm_substreams=1
modprobe thermal_sim temp=25000
modprobe snd-virmidi midi_devs=2
modprobe i6300esb heartbeat=10 || true
modprobe i2c-stub chip_addr=0x48
modprobe i2c-dev
modprobe hang_sim

# What preparing its presets found.
if [ -d /job/files/cache ]; then
    mkdir -p /var/cache/purga
    cp -r /job/files/cache/. /var/cache/purga/
    chown -R purga:purga /var/cache/purga
fi

# What this scenario wants to be configured otherwise.
if [ -d /job/etc ]; then cp -r /job/etc/. /etc/; fi
