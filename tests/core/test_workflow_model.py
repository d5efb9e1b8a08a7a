"""The keys of a task and of a workflow, and what is told of each mistake before anything runs."""

from __future__ import annotations

import pytest

from hive.adapters import files
from hive.core import expand as expansion
from hive.core.checks import Facts, check, program
from hive.core.config import parse, read, workflows
from hive.core.mistakes import refusal
from hive.core.tasks import Want
from hive.core.workflow_model import Asked, Line, Task, task_job
from hive.errors import WrongInput

PLACE = expansion.Place(folder="/place", home="/home/ann")
TEAMS = """\
project = "p"
[teams.web.agents]
pm = "top"
dev = { run = "top", count = 2, skills = ["python"] }
[workflows.w]
"""


def told(text: str, start: str = TEAMS) -> list[str]:
    """Give the mistakes of a file that begins so; its workflow is [workflows.w] in line 5."""
    parsed = parse(start + text, "f")
    assert parsed.file
    entries = expansion.expand(parsed.file, PLACE, {})
    programs = frozenset(one for entry in entries if (one := program(entry.agents[0])))
    facts = Facts(directories=frozenset({"/place"}), programs=programs, unread={}, machine=None)
    found = parsed.mistakes(check(parsed.file, PLACE, entries, facts, parsed.lost))
    if not found:
        return []
    said = str(refusal(found, "f")).splitlines()
    return [line for line in said if not line.startswith("    ")]


ONE = 'pattern = "parallel"\ntasks = [{ name = "a", prompt = "x"%s }]'
TWO = """\
pattern = "sequential"
params = { version = {}, env = "prod" }
tasks = [
  { name = "a", prompt = "x" },
  { name = "b", prompt = "y"%s },
  { name = "c", prompt = "z" },
]"""
PHASES = """\
pattern = "hybrid"
[[workflows.w.phases]]
name = "build"
tasks = [{ name = "api", prompt = "x" }, { name = "ui", prompt = "x"%s }]
[[workflows.w.phases]]
name = "ship"
tasks = [{ name = "all", prompt = "x"%s }]
"""


def test_a_workflow_without_mistakes_has_none():
    assert told(TWO % ", prompt_ = 1".replace(", prompt_ = 1", "")) == []
    assert (
        told(PHASES % (', team = "web", role = "dev"', ", when = \"build.ui.result == ''\"")) == []
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        pytest.param(
            ', promt = "y"', "unknown key `promt`; did you mean `prompt`?", id="unknown key"
        ),
        pytest.param(
            ', depends_on = ["b"]', "unknown key `depends_on`; did you mean `needs`?", id="others"
        ),
        pytest.param(', run = "y"', "`tasks` needs exactly one of `prompt` and `run`", id="both"),
        pytest.param(', team = "a b"', "`team` may hold only letters, digits", id="team"),
        pytest.param(', skills = ["a b"]', "`skills` must be words without blanks", id="skill"),
        pytest.param(", retries = -1", "`retries` must be 0 or more, not -1", id="retries"),
        pytest.param(
            ', priority = "hgih"',
            "`priority` must be one of `low`, `normal`, `high`, `urgent`, or a number from 0",
            id="priority",
        ),
        pytest.param(
            ', locks = ["a b"]',
            "`locks` can't be: the lock `a b` is neither one word nor `kind:value`",
            id="lock",
        ),
        pytest.param(
            ", replicas = 3, agree = 4", "`tasks` wants `agree` 4 of `replicas` 3", id="agree"
        ),
        pytest.param(
            ', judge = "vote"', "`tasks` is judged by vote, and needs a `jury`", id="vote"
        ),
        pytest.param(', judge = "check"', "`tasks` is judged by its check, and needs", id="check"),
        pytest.param(", cache_files = true", "`tasks` has `cache_files`, and needs", id="cache"),
        pytest.param(
            ', agent = "dev-1", replicas = 2', "`tasks` has `replicas` and one `agent`", id="pin"
        ),
        pytest.param(
            ', agent = "pm"',
            "`tasks` names `agent` `pm` without its team: write `team/pm`",
            id="bare",
        ),
        pytest.param(
            ', agent = "web/pm", team = "api"',
            "`tasks` names `agent` `web/pm`, which is not of team `api`",
            id="of another team",
        ),
        pytest.param(', directory = "~/x"', "`directory` must be a folder below", id="folder"),
        pytest.param(', timeout = "5"', "`timeout` must be a duration such as", id="duration"),
    ],
)
def test_one_mistake_of_a_task(more, message):
    (found,) = told(ONE % more)

    where = "workflows.w.tasks" if message.startswith("`tasks`") else "workflows.w.tasks#1"
    assert found.startswith(f"f:7: [{where}] {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "f:5: [workflows.w] `pattern` is missing", id="no pattern"),
        pytest.param(
            'pattern = "serial"',
            "f:6: [workflows.w] `pattern` must be one of `sequential`",
            id="what",
        ),
        pytest.param(
            'pattern = "parallel"',
            "f:5: [workflows] `w` is parallel: it needs `tasks`, and has no `phases`",
            id="no tasks",
        ),
        pytest.param(
            'pattern = "hybrid"\ntasks = []',
            "f:5: [workflows] `w` is hybrid: it needs `phases`, each with its `tasks`",
            id="no phases",
        ),
        pytest.param(
            'pattern = "parallel"\ntasks = [{ prompt = "x" }]',
            "f:7: [workflows.w.tasks#1] `name` is missing",
            id="no name",
        ),
        pytest.param(
            'pattern = "parallel"\ntasks = [{ name = "a-b", prompt = "x" }]',
            "f:7: [workflows.w.tasks#1] `name` may hold only letters, digits and `_`",
            id="a name that no template can say",
        ),
        pytest.param(
            'pattern = "parallel"\ntasks = [{ name = "if", prompt = "x" }]',
            "f:7: [workflows.w.tasks#1] `name` can't be `if`, which means something else",
            id="a word of templates",
        ),
        pytest.param(
            'pattern = "parallel"\ntasks = [{ name = "a", run = "x" },\n{ name = "a", run = "y" }]',
            "f:8: [workflows.w.tasks#2] `name` `a` is taken by another task",
            id="a task twice",
        ),
        pytest.param(
            'pattern = "parallel"\nparams.a = ""\ntasks = [{ name = "a", prompt = "x" }]',
            "f:8: [workflows.w.tasks#1] `name` `a` is taken by a parameter",
            id="a task like a parameter",
        ),
        pytest.param(
            PHASES.replace("ship", "build") % ("", ""),
            "f:11: [workflows.w.phases#2] `name` `build` is taken by another phase",
            id="a phase twice",
        ),
        pytest.param(
            'pattern = "hybrid"\nphases = [{ name = "a", tasks = [] }]',
            "f:7: [workflows.w.phases#1] `tasks` must not be empty",
            id="an empty phase",
        ),
        pytest.param(
            PHASES % (', needs = ["ship.all"]', ""),
            "f:9: [workflows.w.phases#1.tasks#2] `needs` goes in a circle:"
            " build.ui → ship.all → build.ui",
            id="a need of a later phase",
        ),
        pytest.param(
            TWO % ', needs = ["c"]',
            "f:10: [workflows.w.tasks#2] `needs` goes in a circle: b → c → b",
            id="a need of what is after it",
        ),
        pytest.param(
            TWO % ', needs = ["b"]',
            "f:10: [workflows.w.tasks#2] `needs` goes in a circle: b → b",
            id="a need of itself",
        ),
        pytest.param(
            PHASES % ("", ', needs = ["ui"]'),
            "f:12: [workflows.w.phases#2.tasks#1] `needs` names `ui`, which is no task;"
            " did you mean `build.ui`?",
            id="a need of nobody",
        ),
        pytest.param(
            TWO % ', on_failure = "retry"',
            "f:10: [workflows.w.tasks#2] `on_failure` must be `stop`, `continue` or a task,"
            " not `retry`",
            id="a failure and nobody",
        ),
        pytest.param(
            TWO % ', on_failure = "b"',
            "f:10: [workflows.w.tasks#2] `on_failure` must be `stop` or `continue` here",
            id="a failure of itself",
        ),
        pytest.param(
            PHASES % (', on_failure = "api"', ', needs = ["build.api"]'),
            "f:12: [workflows.w.phases#2.tasks#1] `needs` names `build.api`,"
            " which is only run if `build.ui` fails",
            id="a need of what is for a failure",
        ),
        pytest.param(
            TWO % ', team = "wbe"',
            "f:10: [workflows.w.tasks#2] `team` names `wbe`, which is no team; did you mean `web`?",
            id="no team",
        ),
        pytest.param(
            TWO % ', agent = "web/dev-3"',
            "f:10: [workflows.w.tasks#2] `agent` names `web/dev-3`, which is no agent",
            id="no agent",
        ),
        pytest.param(
            TWO % ', agent = "dev", team = "web"',
            "f:10: [workflows.w.tasks#2] `agent` names `web/dev`, which is a pool",
            id="a pool",
        ),
        pytest.param(
            TWO.replace("version = {}", "version = 1") % "",
            "f:7: [workflows.w.params] `version` must be a table",
            id="a parameter that is no text",
        ),
    ],
)
def test_one_mistake_of_a_workflow(text, message):
    (found,) = told(text)

    assert found.startswith(message)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        pytest.param(
            ', check = "{{ a.result }}"',
            "`check` names `a.result`, but only parameters are known when a run begins",
            id="a check",
        ),
        pytest.param(
            ', role = "{{ vrsion }}"', "`role` names `vrsion`, but only parameters", id="a role"
        ),
        pytest.param(', skills = ["{{ x"]', "`skills`: this is no template: ", id="half a skill"),
        pytest.param(
            ', directory = "{{ a.task }}"', "`directory` names `a.task`, but only", id="a folder"
        ),
        pytest.param(
            ", when = \"c.outcome == 'done'\"",
            "`when` names `c.outcome`, but `c` need not be over by then; add it to `needs`",
            id="what comes later",
        ),
        pytest.param(
            ", when = \"b.outcome == 'done'\"",
            "`when` names `b.outcome`, but `b` need not",
            id="itself",
        ),
        pytest.param(', when = "a =="', "`when`: this is no condition: ", id="half a condition"),
        pytest.param(
            ', when = "a.outcom"',
            "`when` names `a.outcom`, but of a task only result, outcome, confidence, notes, agent,"
            " why, task are known; did you mean `outcome`?",
            id="an unknown attribute",
        ),
        pytest.param(
            ', when = "a"', "`when` names `a` as a whole; did you mean `a.result`?", id="a whole"
        ),
        pytest.param(
            ', when = "envv"',
            "`when` names `envv`, which is neither a parameter nor a task; did you mean `env`?",
            id="an unknown name",
        ),
    ],
)
def test_one_mistake_of_a_template(more, message):
    (found,) = told(TWO % more)

    assert found.startswith(f"f:10: [workflows.w.tasks#2] {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            'prompt = "{{ build.ui.result }}"',
            "`prompt` names `build.ui.result`, but `build.ui` need not be over by then",
            id="of the same phase",
        ),
        pytest.param(
            'prompt = "{{ build.db.result }}"',
            "`prompt` names `build.db.result`, which is neither a parameter nor a task",
            id="nobody",
        ),
        pytest.param(
            "prompt = \"docker --format '{{.Names}}'\"",
            "`prompt`: this is no template: ",
            id="no template",
        ),
        pytest.param(
            'needs = "ui", run = "say {{ build.ui.result }}"',
            "`run` would have a shell read what `build.ui.result` says;"
            " write `{{ build.ui.result | quote }}`",
            id="an agent's words for a shell",
        ),
    ],
)
def test_one_mistake_of_a_text(text, message):
    (found,) = told((PHASES % ("", "")).replace('prompt = "x"', text, 1))

    assert found.startswith(f"f:9: [workflows.w.phases#1.tasks#1] {message}")


def test_what_is_wrong_in_a_workflow_hides_nothing_else():
    found = told(ONE % ", retries = 'x'" + "\n[teams.api]\nsession = 5\n[workflows.v]\nx = 1\n")

    assert [line.partition(" ")[0] for line in found] == ["f:7:", "f:9:", "f:10:", "f:11:"]


def test_a_team_that_could_not_be_read_is_not_missed():
    assert len(told(TWO % ', team = "a b"'.replace("a b", "api") + "\n[teams.api]\nx = 1\n")) == 1


def test_a_file_of_workflows_tells_every_mistake():
    with pytest.raises(WrongInput) as caught:
        workflows('[workflows.x]\npattern = "parallel"\n[[workflows.x.tasks]]\nname = "a"\n', "t")

    assert str(caught.value).startswith(
        "t:3: [workflows.x.tasks] `tasks` needs exactly one of `prompt` and `run`"
    )
    with pytest.raises(WrongInput, match=r"t:3: .* names `b`, which is no task"):
        workflows(
            '[workflows.x]\npattern = "parallel"\ntasks=[{ name = "a", run = "x", needs = "b" }]',
            "t",
        )


def test_a_line_of_a_file_of_tasks_is_a_job():
    line = Line.model_validate(
        {
            "prompt": "Fix it\nnow",
            "team": "web",
            "agent": "dev-1",
            "priority": "high",
            "locks": ["port:3000", "shared path:src"],
            "deadline": "10m",
            "batch_key": "fix",
            "cache": "1d",
            "key": "fix-1",
        }
    )
    job = task_job(line, project="p", now=1000.0)

    assert (job.name, job.kind, job.agent, job.priority) == ("Fix it", "prompt", "p/web/dev-1", 75)
    assert job.locks == (Want(name="path:src", shared=True), Want(name="port:3000"))
    assert (job.deadline, job.batch, job.cache, job.template) == (1600.0, "fix", 86400.0, False)
    assert task_job(Line.model_validate({"run": "make"})).kind == "run"


def test_a_line_may_be_kept_back():
    assert task_job(Line.model_validate({"run": "make", "delay": "5m"}), now=1000.0).after == 1300.0


def test_a_line_can_not_have_another_task_run_when_it_fails():
    with pytest.raises(ValueError, match="its `on_failure` must be `stop` or `continue`"):
        Line.model_validate({"run": "make", "on_failure": "undo"})


def test_a_task_and_a_line_share_what_any_task_may_say():
    shared = set(Asked.model_fields)

    assert set(Task.model_fields) - shared == {"name", "when"}
    assert set(Line.model_fields) - shared == {"name", "key", "delay"}


def test_the_schema_has_every_key_of_a_task():
    defined = files.schema()["$defs"]

    assert set(defined["Task"]["properties"]) == set(Task.model_fields)
    assert {"Workflow", "Phase", "Parameter", "Work"} <= defined.keys()


def test_an_agent_has_skills_and_a_capacity():
    text = 'project = "p"\n[defaults]\ncapacity = 3\n[teams.web.agents]\npm = "top"\n'
    text += 'dev = { run = "top", skills = ["b", "a", "b"], capacity = 1, mode = "task" }'
    file = read(text)
    pm, dev = (entry.agents[0] for entry in expansion.expand(file, PLACE, {}))

    assert (pm.skills, pm.capacity) == ((), 3)
    assert (dev.skills, dev.capacity) == (("b", "a"), 1)
    assert file.teams["web"].agents["dev"].mode == "task"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param("skills = ['a b']", "`skills` must be words without blanks", id="skills"),
        pytest.param("capacity = 0", "`capacity` must be 1 or more, not 0", id="capacity"),
        pytest.param("mode = 'plan'", "`mode` must be one of `chat` and `task`", id="mode"),
        pytest.param("tags = 'a'", "unknown key `tags`; did you mean `skills`?", id="tags"),
    ],
)
def test_one_mistake_of_an_agent(key, message):
    (found,) = told(f'[teams.a.agents.b]\nrun = "top"\n{key}', 'project = "p"\n')

    assert found.startswith(f"f:4: [teams.a.agents.b] {message}")
