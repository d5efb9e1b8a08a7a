import time

from tests import torture


def test_it(corner):
    one = torture.Torture(corner, 2)
    t = time.time()
    one.begin()
    print("begun", time.time() - t)
    t = time.time()
    one.send(100)
    print("sent", time.time() - t)
    t = time.time()
    one.settle()
    print("settled", time.time() - t)
    try:
        torture.check(one)
    finally:
        for line in one.verdict()["lost"]:
            name=line.split(":")[0]; print("LOST", corner.hive("why", name)); m=[m for m in one.messages() if m.name==name][0]; print(m)
            print(one._truth(m.agent.split("/")[-1]).read_text()[-6500:])
        for m in one.messages():
            if 0 and m.stage.value in ("submitted", "failed", "typed") or (
                m.stage.value == "queued"
                and one._persona(m) != torture.STUCK
                and not m.reason.startswith("behind")
            ):
                print(m)
                print(corner.hive("why", m.name))
                print(corner.hive("why", "team/" + m.agent.split("/")[-1]))
                print(one._truth(m.agent.split("/")[-1]).read_text()[-1500:])
