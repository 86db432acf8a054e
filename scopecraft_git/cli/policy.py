"""`policy show|check|test`."""

from __future__ import annotations

import json as json_format
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from scopecraft_git import config, console, description, plugins, policy
from scopecraft_git.cli import complete, context, output
from scopecraft_git.cli.commands import group
from scopecraft_git.cli.options import Json
from scopecraft_git.errors import FAILED, REFUSED, InvalidCallError, SessionNotFoundError
from scopecraft_git.events import Event, PermissionRequest, ToolCall
from scopecraft_git.models import Mode, Session
from scopecraft_git.policy import Call, Effect, Ruling, Scene

app = group("Show and try which tool calls are allowed")

EXIT_CODES = {Effect.ALLOW: 0, Effect.ASK: FAILED, Effect.DENY: REFUSED, Effect.STOP: REFUSED}
SYMBOLS = {Effect.ALLOW: "✓", Effect.ASK: "▲", Effect.DENY: "✗", Effect.STOP: "✗"}
WIDTH = 76

Executor = Annotated[
    str | None,
    typer.Option("--executor", "-e", metavar="NAME", help="Where it is called", autocompletion=complete.executors),
]
ModeOption = Annotated[Mode, typer.Option("--mode", "-m", help="Whether a human sits beside it")]
Agent = Annotated[
    str | None,
    typer.Option("--agent", "-a", metavar="NAME", help="Who calls it", autocompletion=complete.agents),
]
Worktree = Annotated[Path | None, typer.Option("--worktree", metavar="PATH", help="The agent's worktree")]


@app.command()
def show(json: Json = False) -> None:
    """Show the rules in force, in their order"""
    found = policy.load()
    if json:
        rules = [_rule_document(each) | each.rule.model_dump(mode="json", exclude_none=True) for each in found.rules]
        ask = found.ask.model_dump(mode="json")
        console.answer_json({"rules": rules, "default": {"action": found.default}, "ask": ask})
        return
    rows = [
        (str(each.number), _origin(each.origin), each.rule.action, each.rule.name or "-", _conditions(each.rule))
        for each in found.rules
    ]
    console.answer_table(("RULE", "FROM", "ACTION", "NAME", "WHEN"), rows)
    console.unchanged(f"Where no rule fits: {found.default}. {_patience(found.ask)}")
    console.hint('To see which of them fits a call, run git scopecraft policy check -- Bash \'{"command": "ls"}\'')


@app.command()
def check(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="Tool, such as Bash")],
    input: Annotated[str, typer.Argument(metavar="JSON", help='Its input, such as \'{"command": "git push"}\'')] = "{}",
    executor: Executor = None,
    mode: ModeOption = Mode.AUTONOMOUS,
    agent: Agent = None,
    worktree: Worktree = None,
    json: Json = False,
) -> None:
    """Tell which rule fits a call, and why

    Exits 0 when it is allowed, 1 when it is asked, and 4 when it is denied or stops the session.
    """
    scene = _scene(executor, mode, agent, worktree)
    ruling = policy.load().judge(Call(tool, _input(input), scene))
    if json:
        console.answer_json(_ruling_document(ruling))
    else:
        _tell(ruling, scene)
    raise typer.Exit(EXIT_CODES[ruling.action])


@app.command("test")
def try_(
    recording: Annotated[
        str,
        typer.Argument(metavar="FILE|SESSION", help="Recorded stream, or a session", autocompletion=complete.sessions),
    ],
    executor: Executor = None,
    mode: Annotated[Mode | None, typer.Option("--mode", "-m", help="Whether a human sits beside it")] = None,
    agent: Agent = None,
    worktree: Worktree = None,
    json: Json = False,
) -> None:
    """Judge every call of a session again, or of a recorded stream"""
    session = _session(recording)
    if session:
        executor, agent = executor or session.executor, agent or session.agent
        worktree, mode = worktree or session.worktree, mode or session.mode
    scene = _scene(executor, mode or Mode.AUTONOMOUS, agent, worktree)
    events = _stored(session) if session else _recorded(Path(recording), scene.agent)
    in_force = policy.load()
    judged = [(call, in_force.judge(Call(call.tool, call.input, scene))) for call in _calls(events)]
    summary = Counter(ruling.action for _, ruling in judged)
    if json:
        calls = [{"tool": call.tool, "input": call.input} | _ruling_document(ruling) for call, ruling in judged]
        console.answer_json({"calls": calls, "summary": {effect: summary[effect] for effect in Effect}})
        return
    for call, ruling in judged:
        console.answer(f"{SYMBOLS[ruling.action]} {ruling.action:<5}  {_line(call)}{_by(ruling)}")
    told = ", ".join(f"{summary[effect]} {effect}" for effect in Effect if summary[effect])
    console.unchanged(f"Calls: {len(judged)}" + (f" ({told})" if told else ""))


class Made(NamedTuple):
    """A call that was made or asked for."""

    tool: str
    input: Mapping[str, Any]


def _scene(executor: str | None, mode: Mode, agent: str | None, worktree: Path | None) -> Scene:
    """What is not said is as `run` would have it here."""
    settings = config.load(context.git_config())
    name = executor or getattr(settings.executor, mode)
    on_host = (worktree or Path.cwd()).absolute()
    seen_at = plugins.executor(name).worktree_seen_at
    return Scene(name, mode, plugins.agent(agent or settings.agent).name, seen_at or on_host, on_host)


def _input(text: str) -> dict[str, Any]:
    try:
        found = json_format.loads(text)
    except ValueError as error:
        raise InvalidCallError(text, str(error)) from None
    if not isinstance(found, dict):
        raise InvalidCallError(text, "it is no JSON object")
    return found


def _session(name: str) -> Session | None:
    """None for a file; where there is neither, the error says so of the session."""
    try:
        return context.session(name)
    except SessionNotFoundError:
        if Path(name).is_file():
            return None
        raise


def _stored(session: Session) -> Iterator[Event]:
    return (logged.event for logged in context.storage().events(session.id))


def _recorded(file: Path, agent: str) -> Iterator[Event]:
    parser = plugins.agent(agent)
    with file.open("rb") as lines:
        for line in lines:
            yield from parser.parse(line.rstrip(b"\n"))


def _calls(events: Iterator[Event]) -> list[Made]:
    """Each once: what was asked for is often made, too."""
    found: list[Made] = []
    seen: set[str] = set()
    for event in events:
        match event:
            case ToolCall(id=made, name=tool, input=given):
                call = made
            case PermissionRequest(id=asked, call_id=made_later, tool=tool, input=given):
                call = made_later or asked
            case _:
                continue
        if call not in seen:
            seen.add(call)
            found.append(Made(tool, given))
    return found


def _tell(ruling: Ruling, scene: Scene) -> None:
    console.answer(f"{SYMBOLS[ruling.action]} {ruling.action}: {ruling.reason}")
    if ruling.rule:
        console.answer(f"  {ruling.rule.title}, {_origin(ruling.rule.origin)}")
    for matched in ruling.matched:
        console.answer(f"  {console.safe_line(matched, WIDTH)}")
    console.unchanged(f"Called by {scene.agent} on {scene.executor} ({scene.mode}) in {output.short(scene.worktree)}")


def _line(call: Made) -> str:
    return console.safe_line(f"{call.tool} {description.gist(call.input)}", WIDTH).rstrip()


def _by(ruling: Ruling) -> str:
    if ruling.action is Effect.ALLOW or ruling.rule is None:
        return ""
    return f"  ({ruling.rule.title}, {_origin(ruling.rule.origin)})"


def _origin(origin: str) -> str:
    return origin if origin == policy.BUILT_IN else Path(origin).name


def _conditions(rule: policy.Rule) -> str:
    return console.safe_line(
        " and ".join(f"{key} = {json_format.dumps(value, ensure_ascii=False)}" for key, value in rule.conditions())
        or "always",
        WIDTH,
    )


def _patience(ask: policy.Ask) -> str:
    if not ask.timeout_minutes:
        return "What is asked waits for ever"
    return f"What nobody answers in {ask.timeout_minutes:g} minutes: {ask.answer}"


def _rule_document(rule: policy.InForce | None) -> dict[str, Any]:
    if rule is None:
        return {"rule": None, "name": None, "origin": None}
    return {"rule": rule.number, "name": rule.rule.name or None, "origin": rule.origin}


def _ruling_document(ruling: Ruling) -> dict[str, Any]:
    return {
        "action": ruling.action,
        **_rule_document(ruling.rule),
        "message": ruling.reason,
        "matched": list(ruling.matched),
    }
