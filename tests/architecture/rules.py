"""The house rules that import contracts cannot see. Each returns its violations, with what to do instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch

from tests.architecture.source import Function, Module, called_name, dotted_name

Rule = Callable[[Module], Iterator[str]]

MAXIMUM_MODULE_LINES = 400
MAXIMUM_FUNCTION_LINES = 50
MAXIMUM_CLASS_LINES = 150
MAXIMUM_TASK_STATEMENTS = 3

IMPORTS_ALLOWED_INSIDE = (
    # Registration happens once Django's registry is ready, and not before.
    ("*/apps.py", "ready"),
    # Engines are optional wheels of hundreds of megabytes: a missing one is a reason, not a crash.
    ("*/adapters/engines/*.py", "load"),
    ("*/adapters/engines/*.py", "_open"),
    ("*/adapters/engines/*.py", "run"),
    ("transcription/adapters/media.py", "load"),
    ("transcription/adapters/media.py", "run"),
)
# Engines, commands, and what only some processes need are named by strings, and loaded there.
LOADERS_BY_NAME = ("clustercore/config/adapters/plugins.py",)
LOADING_BY_NAME = {"import_module", "importlib.import_module", "__import__", "importlib.__import__"}
# The list of commands is shown without the settings, which cost more than all the rest of it.
READERS_OF_THE_ENVIRONMENT = ("clustercore/config/environment.py", "clustercore/config/adapters/rooms.py")
# The engine runner tells native libraries how many threads they may start; they take it from nowhere else.
WRITERS_OF_THE_ENVIRONMENT = ("clustercore/nodes/adapters/runner.py",)
NAMERS_OF_THE_SETTINGS_MODULE = (
    "manage.py",
    "clustercore/project/asgi.py",
    "clustercore/project/celery.py",
    "clustercore/project/command_line/*.py",
)
PLACES_FOR_CELERY_SIGNALS = (
    "clustercore/nodes/adapters/*.py",
    "clustercore/project/celery.py",
)
# What may be imported and called where a node's leases are kept; of a dotted name, its last part.
LEASE_THREAD = {
    "clustercore/nodes/adapters/lease_thread.py": (
        {
            "__future__",
            "threading",
            "collections.abc",
            "clustercore.embedded.domain.shortage",
            "clustercore.nodes.adapters.elapsed",
            "clustercore.nodes.adapters.hub_presence",
            "clustercore.nodes.adapters.intake",
            "clustercore.nodes.adapters.registration",
            "clustercore.nodes.domain.hooks",
        },
        {"extend", "beat", "asked_by", "elapsed_seconds", "shortage_in"}
        | {"obey", "hold_while_short", "_keep", "_round", "_fail"}
        | {"Event", "Thread", "start", "wait", "is_set", "set", "clear"},
    ),
    "clustercore/jobs/services/held_leases.py": (
        {
            "__future__",
            "clustercore.config.environment",
            "clustercore.jobs.adapters.attempts_in_flight",
            "clustercore.jobs.services.leases",
            "clustercore.nodes.adapters.elapsed",
            "clustercore.nodes.domain.hooks",
        },
        {"extend_leases", "extendable", "forget", "all", "environment", "elapsed_seconds", "_extend"}
        | {"keys", "values", "set", "kill", "float"},
    ),
}
# What is asked, and by whom, in the words of every way in: pages, programs, the command line.
ROOMS_WITHOUT_HTTP = {"services", "selectors", "domain", "adapters", "models", "workflows", "tasks"}
KNOWING_HTTP = re.compile(
    r"django\.http|django\.core\.handlers|clustercore\.\w+\.http|http$|rest_framework(?!\.utils\.)|starlette|uvicorn"
)
STATUSES = range(400, 600)
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "tools_lib"}
WORDS_OF_ONE_KIND = re.compile(r"\b(stt|whisper|transcri\w*|audio\w*|sound|recordings?|captions?)\b", re.IGNORECASE)
IMPORTED_BY_A_LIST_OF_COMMANDS = {"__future__", "clustercore.terminal.domain.commands"}
SENDING = {"delay", "apply_async", "send_task"}
CLOCK_AND_CHANCE = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "date.today",
    "datetime.date.today",
    "uuid4",
    "uuid.uuid4",
    "uuid1",
    "uuid.uuid1",
    "os.urandom",
    "open",
    "print",
    "input",
}


def modules_are_short(module: Module) -> Iterator[str]:
    lines = module.text.count("\n") + 1
    if lines > MAXIMUM_MODULE_LINES:
        yield f"{module.path}: {lines} lines; split it by noun (services.py becomes services/<noun>.py)"


def functions_are_short(module: Module) -> Iterator[str]:
    for function in module.functions():
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > MAXIMUM_FUNCTION_LINES:
            yield module.at(function, f"{function.name} has {length} lines; name its steps")


def classes_are_short(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAXIMUM_CLASS_LINES:
                yield module.at(node, f"{node.name} has {length} lines; give each of its matters a class of its own")


def tasks_are_doors(module: Module) -> Iterator[str]:
    if module.parts[-1] != "tasks" and "tasks" not in module.parts[:-1]:
        return
    for function in module.functions():
        statements = len(without_docstring(function))
        if statements > MAXIMUM_TASK_STATEMENTS:
            yield module.at(function, f"{function.name} has {statements} statements; move its body to services.py")


def imports_stand_at_the_top(module: Module) -> Iterator[str]:
    for function in module.functions():
        if import_allowed_inside(module.path, function.name):
            continue
        for node in own_nodes(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield module.at(
                    node, f"hidden import in {function.name}; a cycle is mended by moving code, not by this"
                )


def one_module_loads_by_name(module: Module) -> Iterator[str]:
    if matches(module.path, LOADERS_BY_NAME):
        return
    for node in module.nodes:
        imports = isinstance(node, ast.ImportFrom) and any(alias.name == "import_module" for alias in node.names)
        if imports or dotted_name(node) in LOADING_BY_NAME:
            yield module.at(node, "imports by name; call clustercore/config/adapters/plugins.py")


def only_one_module_reads_the_environment(module: Module) -> Iterator[str]:
    if matches(module.path, READERS_OF_THE_ENVIRONMENT):
        return
    allowed = set(settings_module_lines(module)) if matches(module.path, NAMERS_OF_THE_SETTINGS_MODULE) else set()
    if matches(module.path, WRITERS_OF_THE_ENVIRONMENT):
        allowed |= set(lines_that_set_variables(module))
    for node in module.nodes:
        reads = dotted_name(node) in {"os.environ", "os.getenv", "os.environb"}
        if (reads or imports_environ(node)) and getattr(node, "lineno", 0) not in allowed:
            yield module.at(node, "reads the environment; add a typed field to clustercore/config/environment.py")


def only_workflows_send(module: Module) -> Iterator[str]:
    if "workflows" in module.parts:
        return
    for call in module.calls():
        if isinstance(call.func, ast.Attribute) and called_name(call) in SENDING:
            yield module.at(call, f".{called_name(call)}() starts work; call a function of workflows.py")


def queue_names_come_from_one_place(module: Module) -> Iterator[str]:
    if module.path == "clustercore/nodes/domain/queues.py":
        return
    docstrings = {id(node) for node in docstring_nodes(module)}
    for node in module.nodes:
        text = node.value if isinstance(node, ast.Constant) and id(node) not in docstrings else None
        if isinstance(text, str) and re.match(r"(cap|node)\.\w*$", text):
            yield module.at(node, f"{text!r} is a queue's name; ask clustercore/nodes/domain/queues.py")


def nothing_runs_eagerly(module: Module) -> Iterator[str]:
    for number, line in enumerate(module.text.splitlines(), start=1):
        if re.search(r"always_eager", line, re.IGNORECASE):
            yield f"{module.path}:{number}: eager mode is another system than the one that runs"


def names_say_something(module: Module) -> Iterator[str]:
    for part in module.parts:
        if NAMES_THAT_SAY_NOTHING & set(part.split("_")):
            yield f"{module.path}: {part!r} says nothing; name the noun that it is about"


def no_signals_of_our_own(module: Module) -> Iterator[str]:
    if matches(module.path, PLACES_FOR_CELERY_SIGNALS):
        return
    for node in module.nodes:
        imports_signals = isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("django.dispatch", "django.db.models.signals", "django.core.signals", "celery.signals")
        )
        if imports_signals:
            yield module.at(node, "signals hide who calls whom; call the service by its name")


def domain_asks_no_clock_and_no_dice(module: Module) -> Iterator[str]:
    if "domain" not in module.parts:
        return
    for call in module.calls():
        if dotted_name(call.func) in CLOCK_AND_CHANCE:
            yield module.at(call, f"{dotted_name(call.func)}() in domain/; let the caller pass its value in")


def nobody_waits_inside_a_task(module: Module) -> Iterator[str]:
    if not {"tasks", "workflows", "services"} & set(module.parts):
        return
    for node in module.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and dotted_name(node).split(".")[-1] == "AsyncResult":
            yield module.at(node, "waiting for a result in a worker is a deadlock; the ledger tells what happened")


def public_names_are_explained(module: Module) -> Iterator[str]:
    if not {"services", "selectors", "domain"} & set(module.parts):
        return
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield module.at(node, f"{node.name} is public and has no docstring")


def without_docstring(function: Function) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What stands in the function itself, not in functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting.extend(ast.iter_child_nodes(node))


def docstring_nodes(module: Module) -> Iterator[ast.AST]:
    """Every string that stands alone: docstrings, and the ones beneath attributes."""
    for node in module.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def settings_module_lines(module: Module) -> Iterator[int]:
    """Lines of `os.environ.setdefault("DJANGO_SETTINGS_MODULE", …)`."""
    for call in module.calls():
        named = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        if dotted_name(call.func) == "os.environ.setdefault" and named[:1] == ["DJANGO_SETTINGS_MODULE"]:
            yield call.lineno


def lines_that_set_variables(module: Module) -> Iterator[int]:
    """Lines of `os.environ[…] = …`."""
    for node in module.nodes:
        match node:
            case ast.Subscript(value=owner, ctx=ast.Store()) if dotted_name(owner) == "os.environ":
                yield node.lineno


def imports_environ(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "os"
        and any(alias.name in {"environ", "getenv"} for alias in node.names)
    )


def import_allowed_inside(path: str, function: str) -> bool:
    return any(fnmatch(path, pattern) and function == name for pattern, name in IMPORTS_ALLOWED_INSIDE)


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def the_lease_thread_only_beats_and_extends(module: Module) -> Iterator[str]:
    """Whatever else it did, a plug-in, a disk or a sweep that hangs would cost healthy work its lease."""
    if module.path not in LEASE_THREAD:
        return
    imported, called = LEASE_THREAD[module.path]
    elsewhere = "the lease thread only beats and extends: let the node's upkeep do it"
    for node in module.nodes:
        match node:
            case ast.Import(names=names) if not {name.name for name in names} <= imported:
                yield module.at(node, elsewhere)
            case ast.ImportFrom(module=name) if name not in imported:
                yield module.at(node, elsewhere)
            case ast.Call() if called_name(node) not in called:
                yield module.at(node, elsewhere)


def services_know_no_http(module: Module) -> Iterator[str]:
    """They raise the errors of `access/domain/errors.py`; `access/http/refusals.py` says which status each kind is."""
    if not ROOMS_WITHOUT_HTTP & set(module.parts):
        return
    for node in module.nodes:
        match node:
            case ast.Import(names=names) if any(KNOWING_HTTP.match(name.name) for name in names):
                yield module.at(
                    node, "imports HTTP; raise an error of access/domain/errors.py, which every way in tells"
                )
            case ast.ImportFrom(module=str(name)) if KNOWING_HTTP.match(name):
                yield module.at(
                    node, "imports HTTP; raise an error of access/domain/errors.py, which every way in tells"
                )
            case ast.Raise(exc=ast.Call(args=arguments)) if any(is_status(argument) for argument in arguments):
                yield module.at(node, "raises a status; raise one of the kinds in access/domain/errors.py")


def is_status(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value in STATUSES


def the_program_names_no_kind_of_work(module: Module) -> Iterator[str]:
    if not module.path.startswith("clustercore/project/command_line/"):
        return
    for number, line in enumerate(module.text.splitlines(), start=1):
        if found := WORDS_OF_ONE_KIND.search(line):
            yield f"{module.path}:{number}: {found[0]!r} is the word of one kind of work; say it in its room's commands"


def a_list_of_commands_imports_none(module: Module) -> Iterator[str]:
    if module.parts[-2:] != ("commands", "__init__"):
        return
    for node in module.nodes:
        name = node.module if isinstance(node, ast.ImportFrom) else None
        if isinstance(node, ast.Import) or (name is not None and name not in IMPORTED_BY_A_LIST_OF_COMMANDS):
            yield module.at(node, "a list of commands is shown without importing them; name what it needs by a string")


RULES: tuple[Rule, ...] = (
    modules_are_short,
    functions_are_short,
    classes_are_short,
    tasks_are_doors,
    imports_stand_at_the_top,
    one_module_loads_by_name,
    only_one_module_reads_the_environment,
    only_workflows_send,
    queue_names_come_from_one_place,
    nothing_runs_eagerly,
    names_say_something,
    no_signals_of_our_own,
    domain_asks_no_clock_and_no_dice,
    nobody_waits_inside_a_task,
    public_names_are_explained,
    the_lease_thread_only_beats_and_extends,
    services_know_no_http,
    the_program_names_no_kind_of_work,
    a_list_of_commands_imports_none,
)


def violations(rule: Rule, of: list[Module]) -> list[str]:
    """All that breaks `rule`, in the order of the files."""
    return [violation for module in of for violation in rule(module)]
