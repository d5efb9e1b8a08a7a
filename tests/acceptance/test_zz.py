import pytest, subprocess, time
from tests.acceptance.test_tasks import *
from tests.acceptance.test_tasks import test_tasks as _t
del test_tasks
def test_zz(play):
    subprocess.run(["git", "init", "-q", play.work], check=True)
    play.deploy(); play.state("ready"); play.answered("m-1", "Briefed")
    name = add(play, "FAKE:slow 90 It takes its time;;")
    delivered(play, name)
    play.state("working")
    t=time.time()
    play.corner.hive("task", "cancel", name)
    for _ in range(20):
        time.sleep(1.5); print(round(time.time()-t,1), task(play,name)["state"], play.agent["state"], play.corner.tmux("list-panes","-a","-F","#{pane_title}"))
        if task(play,name)["state"]!="leased": break
    print(play.corner.hive("why", name)); print(play.told(name))
    play.corner.hive("stop-all")
    eventually(lambda: not play.corner.processes(), 30)
