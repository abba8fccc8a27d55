import subprocess, time, sys
from pathlib import Path
import numpy as np
C='{ block = "cab", file = "/opt/purga/device/presets/open-1x12.flac" }'; K='{ block = "cab", file = "/opt/purga/device/presets/closed-4x12.flac" }'
V={"cab":(C,C,"direct"),"none":('{ block = "gain", gain_db = -6.0 }','{ block = "gain", gain_db = -5.0 }',"drive"),"twocabs":(C,K,"direct"),"cab/gain":(C,'{ block = "gain", gain_db = -6.0 }',"direct"),
"compcab":('{ block = "compressor", threshold_db = -24.0, ratio = 2.5, attack_ms = 8.0, release_ms = 150.0 },'+C,'{ block = "compressor", threshold_db = -20.0, ratio = 2.5, attack_ms = 8.0, release_ms = 150.0 },'+C,"drive"),
"drivecab":('{ block = "drive", drive_db = 6.0 },'+C,'{ block = "drive", drive_db = 20.0 },'+C,"drive"),
"distcab":('{ block = "distortion", drive_db = 6.0 },'+C,'{ block = "distortion", drive_db = 20.0 },'+C,"drive"),
"choruscab":('{ block = "chorus", rate_hz=0.8, depth=0.2, mix=0.2 },'+C,'{ block = "chorus", rate_hz=0.8, depth=0.4, mix=0.4 },'+C,"drive"),
"delaycab":('{ block = "delay", delay_seconds=0.3, feedback=0.2, mix=0.2 },'+C,'{ block = "delay", delay_seconds=0.3, feedback=0.2, mix=0.4 },'+C,"drive"),
"shelfcab":('{ block = "high_shelf", cutoff_frequency_hz = 2500.0, gain_db = -12.0 },'+C,'{ block = "high_shelf", cutoff_frequency_hz = 2500.0, gain_db = 6.0 },'+C,"drive")}
def run(bench):
    bench.systemctl("stop","purga.target","purga-audio.service","purga-control.service","purga-audio.socket")
    import device
    from device.preset import read_preset
    from device.prepare import playable
    from device.sound.player import Player
    for name,(a,b,p) in V.items():
        f=Path(f"/tmp/{name.replace('/','-')}.toml"); f.write_text(f'format = 1\nname = "x"\n[tone.a]\nchain = [{a}]\n[tone.b]\nchain = [{b}]\n[morph]\nengine = "crossfade"\npath = "{p}"\n')
        pl=Player([playable(read_preset(f),48000)]); pl.prepare(48000,128)
        x=np.random.default_rng(0).standard_normal((1,128)).astype(np.float32)*.1; y=np.zeros_like(x)
        for still in (True,False):
            for i in range(20): pl.process(x,0.5,y)
            t=time.process_time()
            for i in range(100): pl.process(x, 0.5 if still else 0.5+0.3*np.sin(i/20), y)
            print(name, "still" if still else "moving", round((time.process_time()-t)*1e4,1),"us/period", flush=True)
    return {}
