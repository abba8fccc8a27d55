import signal, subprocess, time, os
PY="/opt/purga/.venv/bin/python"
CODE='''
import sys, os, time
t0=time.monotonic()
marks=[]
import gc; gc.disable()
def m(n): marks.append((n, round(time.monotonic()-T0,3), round(time.process_time(),3)))
T0=float(os.environ["T0"])
m("start")
import numpy; m("numpy")
sys.argv=["device","audio","--board","jetson","--config","/etc/purga/pedal.toml","--runtime","/run/probe"]
import device.__main__ as M; m("main")
import device.processes.entry_audio as E; m("entry")
import device.unit_config as U; m("unit_config")
import device.boards.open as O
_u=U.unit_config
def u(o):
    r=_u(o); m("config read"); return r
U.unit_config=u
_o=E.open_audio_side
def o(*a,**k):
    m("pedalboard"); r=_o(*a,**k); m("side"); return r
E.open_audio_side=o
_g=E.go_realtime
def g(*a):
    m("before rt"); r=_g(*a); m("rt"); return r
E.go_realtime=g
import device.processes.loading as L, device.processes.audio as A
_s=L.Loader.start
def s(self):
    m("port open"); _s(self); m("thread started")
L.Loader.start=s
_l=L.Loader._run
_ld=E._load
def ld(*a):
    m("load begins")
    import device.bank as B; m("bank imported")
    rp=B.read_preset
    def rp2(f):
        r=rp(f); m("preset read"); return r
    B.read_preset=rp2
    pl=B.playable
    def pl2(*a,**k):
        r=pl(*a,**k); m("playable"); return r
    B.playable=pl2
    r=_ld(*a); m("loaded"); return r
E._load=ld
n=[0]
st=A.AudioLoop.step
def step(self):
    r=st(self)
    if n[0]==0 or (self._player is not None and not self._entry.running):
        m("period %d"%self._heartbeat.periods)
        if n[0]: 
            print(marks, self._heartbeat.xruns, flush=True); os._exit(0)
        n[0]=1
    return r
A.AudioLoop.step=step
M.main()
'''
def go():
    os.makedirs("/run/probe",exist_ok=True)
    r=subprocess.run([PY,"-c",CODE],cwd="/opt/purga",env={**os.environ,"T0":str(time.monotonic())},capture_output=True,text=True)
    return (r.stdout+r.stderr)[-3000:]
def run(bench):
    bench.wait("playing", bench.plays, 40.0)
    time.sleep(3)
    t=time.monotonic(); c0=open("/proc/stat").readline(); time.sleep(2); c1=open("/proc/stat").readline()
    print("steady cpu", [int(b)-int(a) for a,b in zip(c0.split()[1:],c1.split()[1:])])
    bench.systemctl("stop","purga-audio.service","purga-audio.socket")
    c0=open("/proc/stat").readline(); time.sleep(2); c1=open("/proc/stat").readline()
    print("control alone cpu", [int(b)-int(a) for a,b in zip(c0.split()[1:],c1.split()[1:])])
    for _ in range(2): print("with control", go(), flush=True)
    bench.systemctl("stop","purga.target","purga-control.service")
    c0=open("/proc/stat").readline(); time.sleep(2); c1=open("/proc/stat").readline()
    print("none cpu", [int(b)-int(a) for a,b in zip(c0.split()[1:],c1.split()[1:])])
    for _ in range(1): print("alone", go(), flush=True)
    return {}
