from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopecraft_git import markdown, tasks
from scopecraft_git.errors import (
    AmbiguousTaskError,
    InvalidTaskNameError,
    NotAParentError,
    TaskExistsError,
    TaskNotFoundError,
    UnreadableTaskError,
    UnwritableTaskError,
)
from scopecraft_git.models import Task

TITLE_FIRST = """\
# Implement authentication

---
type: feature
status: todo
area: core
tags: [security, login]
due: 2025-06-08
---

## Instruction
Let users log in.

## Tasks
- [ ] A form

## Deliverable
A pull request.

## Log
- 2025-06-01: Created
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A main worktree; git plays no part here."""
    path = tmp_path / "code" / "app"
    path.mkdir(parents=True)
    return path


def put(root: Path, name: str, text: str | bytes = TITLE_FIRST) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def in_repository(main: Path, name: str, text: str | bytes = TITLE_FIRST) -> Path:
    return put(main / ".tasks", name, text)


# Reading


def test_reads_a_task_file(main: Path) -> None:
    path = in_repository(main, "current/implement-auth-05A.task.md")
    task = tasks.find("implement-auth-05A", main)
    assert (task.id, task.title, task.path) == ("implement-auth-05A", "Implement authentication", path)
    assert (task.type, task.status, task.area) == ("feature", "todo", "core")
    assert (task.parent, task.location) == (None, "current")
    assert list(task.sections) == ["Instruction", "Tasks", "Deliverable", "Log"]
    assert task.sections["Instruction"] == "Let users log in."
    assert tasks.problems(task) == []


def test_front_matter_before_the_title_reads_the_same(main: Path) -> None:
    title, front_matter, rest = TITLE_FIRST.partition("---\n")[0], *TITLE_FIRST.partition("---\n")[2].split("---\n")
    in_repository(main, "current/a.task.md")
    in_repository(main, "current/b.task.md", f"---\n{front_matter}---\n{title}{rest}")
    a, b = tasks.listing(main)
    assert a.model_dump(exclude={"id", "path"}) == b.model_dump(exclude={"id", "path"})


@pytest.mark.parametrize(
    "changed",
    [
        TITLE_FIRST.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + TITLE_FIRST.encode(),
        b"\n  \n" + TITLE_FIRST.encode(),
        TITLE_FIRST.rstrip().encode(),
    ],
    ids=["CRLF", "BOM", "blank lines first", "no newline at the end"],
)
def test_the_same_task_in_another_form(main: Path, changed: bytes) -> None:
    in_repository(main, "current/a.task.md")
    in_repository(main, "current/b.task.md", changed)
    a, b = tasks.listing(main)
    assert a.model_dump(exclude={"id", "path"}) == b.model_dump(exclude={"id", "path"})


def test_unknown_keys_and_sections_are_kept(main: Path) -> None:
    extra = TITLE_FIRST.replace(
        "tags:", "x-estimate: 1:30\non: yes\nnested: {a: [1, 2.5, null]}\nlarge: 1.5e999\ntags:"
    )
    in_repository(main, "current/a.task.md", extra + "\n## Décision\nNo.\n\n## Log\n- Later\n")
    task = tasks.find("a", main)
    assert task.metadata["tags"] == ["security", "login"]
    assert task.metadata["due"] == "2025-06-08"
    assert (task.metadata["x-estimate"], task.metadata["on"]) == ("1:30", "yes")
    assert task.metadata["nested"] == {"a": [1, 2.5, None]}
    assert json.dumps(task.metadata, allow_nan=False)
    assert task.sections["Décision"] == "No."
    assert task.sections["Log"] == "- 2025-06-01: Created\n\n- Later"
    assert task.model_dump_json()


def test_headings_in_code_are_text(main: Path) -> None:
    code = (
        "## Log\n- An example:\n  ````markdown\n  ```\n## Tasks\n  ```\n## Not a section\n  ````\n\n## Notes\nReal.\n"
    )
    in_repository(main, "current/a.task.md", f"# A\n\n{code}")
    assert list(tasks.find("a", main).sections) == ["Log", "Notes"]


def test_what_stands_before_the_sections_is_kept(main: Path) -> None:
    in_repository(main, "current/a.task.md", "# A\n---\ntype: bug\n---\n\nJust do it.\n\n---\n\nReally.\n")
    assert tasks.find("a", main).sections == {"": "Just do it.\n\n---\n\nReally."}


def test_a_file_without_front_matter_is_a_task_with_problems(main: Path) -> None:
    in_repository(main, "current/a.task.md", "# A\n\n---\n\n## Instruction\nDo it\n")
    [task] = tasks.listing(main)
    assert (task.title, task.sections["Instruction"]) == ("A", "Do it")
    assert tasks.problems(task) == [
        "it has no type",
        "it has no status",
        "it has no area",
        "it has no section Tasks",
        "it has no section Deliverable",
        "it has no section Log",
    ]


def test_a_missing_key_is_named(main: Path) -> None:
    in_repository(main, "current/a.task.md", TITLE_FIRST.replace("area: core\n", "").replace("status: todo", "status:"))
    assert tasks.problems(tasks.find("a", main)) == ["it has no status", "it has no area"]


def test_sections_count_however_they_are_written(main: Path) -> None:
    in_repository(main, "current/a.task.md", TITLE_FIRST.replace("## Log", "##  LOG "))
    assert tasks.problems(tasks.find("a", main)) == []


def test_a_title_may_be_a_key(main: Path) -> None:
    in_repository(main, "current/a.task.md", "---\ntitle: From a key\n---\n## Instruction\nDo it\n")
    assert tasks.find("a", main).title == "From a key"


BOMB = (
    "---\n"
    + "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# Caf\xe9\n", "not UTF-8 text (byte 5)"),
        (b"# A\n\n---\ntype: [bug\n---\n", "not YAML: did not find expected ',' or ']' (line 5)"),
        (b"---\ntype: bug\n\ttab: x\n---\n", "(line 3)"),
        (b"---\ntype: bug\n\n## Instruction\n", "not closed"),
        (b"---\njust text\n---\n", "has no keys"),
        (b"---\ntype: \x1b[31m\n---\n", "not YAML"),
        (b"---\nn: " + b"9" * 5000 + b"\n---\n", "integer string conversion"),
        (b"---\nn: " + b"[" * 3000 + b"\n---\n", "not YAML"),
        (BOMB.encode() + b"---\n", "more than 10000 values"),
        (b"---\na: &a [*a]\n---\n", "nested too deeply"),
    ],
    ids=["encoding", "yaml", "tab", "unclosed", "text", "control", "digits", "nested", "aliases", "recursive"],
)
def test_what_cannot_be_read_is_said_with_its_reason(main: Path, content: bytes, reason: str) -> None:
    path = in_repository(main, "current/broken.task.md", content)
    in_repository(main, "current/sound.task.md")
    with pytest.raises(UnreadableTaskError) as raised:
        tasks.find("broken", main)
    assert str(path) in raised.value.message
    assert reason in raised.value.message
    broken, sound = tasks.listing(main)
    assert (broken.id, broken.path) == ("broken", path)
    assert tasks.problems(broken) == [raised.value.message]
    assert tasks.problems(sound) == []


def test_a_pipe_and_a_huge_file_do_not_hold_the_listing_up(main: Path) -> None:
    os.mkfifo(in_repository(main, "current/x").with_name("pipe.task.md"))
    with in_repository(main, "current/huge.task.md").open("r+b") as file:
        file.truncate(markdown.LARGEST_FILE + 1)
    in_repository(main, "current/folder.task.md/x")
    folder, huge, pipe = tasks.listing(main)
    assert "directory" in folder.problem
    assert "larger than 8 MiB" in huge.problem
    assert "not a file" in pipe.problem


def test_a_file_name_that_is_no_text_is_listed(main: Path) -> None:
    folder = in_repository(main, "current/a.task.md").parent
    (Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.task.md"))).write_text(TITLE_FIRST)
    assert [task.id for task in tasks.listing(main)] == ["a", "caf\ufffd"]


@given(st.binary(max_size=300) | st.text(alphabet="-# \n:[]{}&*!|>'\"a1~`\\\u2028", max_size=80).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_document_or_a_reason(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        document = markdown.parse(content.decode())
        task = Task(id="x", title=document.title, metadata=document.metadata, sections=document.sections)
        assert json.dumps(task.model_dump(mode="json"), allow_nan=False)


@given(st.text(alphabet="-# \n\r:ab\u2028\x0c", max_size=60))
@settings(deadline=None)
def test_text_that_does_not_open_front_matter_is_left_as_it_is(text: str) -> None:
    body = f"x{text}"
    assert markdown.front_matter(body) == ({}, body)
    assert markdown.front_matter(f"---\nk: v\n---\n{body}") == ({"k": "v"}, body)


def test_only_a_newline_ends_a_line() -> None:
    text = "---\nA rule\x0c---\nand text\u2028---\n"
    assert markdown.front_matter(text) == ({}, text)


# Both layouts


def central(main: Path) -> Path:
    encoded = "-".join(re.sub("[^a-z0-9-]", "_", part) for part in str(main).lower().split("/")[1:])
    return Path(os.environ["SCOPECRAFT_HOME"]) / "projects" / encoded / "tasks"


def test_tasks_below_the_home_are_found(tmp_path: Path) -> None:
    main = Path("/Users/Ünal/Under_score/My.App 😀-2")
    projects = tmp_path / "user" / ".scopecraft" / "projects"
    path = put(projects, "users-_nal-under_score-my_app___-2/tasks/current/implement-x-05A.task.md")
    assert tasks.find("implement-x-05A", main).path == path
    assert [task.id for task in tasks.listing(main)] == ["implement-x-05A"]


def test_listing_has_an_order(main: Path) -> None:
    for name in (
        "archive/2025-05/old-05A.task.md",
        "archive/2025-11/late-11A.task.md",
        "archive/notes/x.task.md",
        "backlog/a-later-05B.task.md",
        "current/z-05C.task.md",
        "current/big-05A/_overview.md",
        "current/big-05A/02_second-05B.task.md",
        "current/big-05A/01_first-05A.task.md",
        "current/big-05A/report.md",
        "current/_overview.md",
        "current/.hidden.task.md",
    ):
        in_repository(main, name)
    put(central(main), "current/m-05A.task.md")
    assert [(task.id, task.parent, task.location) for task in tasks.listing(main, archived=True)] == [
        ("big-05A", None, "current"),
        ("01_first-05A", "big-05A", "current"),
        ("02_second-05B", "big-05A", "current"),
        ("z-05C", None, "current"),
        ("m-05A", None, "current"),
        ("a-later-05B", None, "backlog"),
        ("late-11A", None, "archive/2025-11"),
        ("old-05A", None, "archive/2025-05"),
    ]
    assert [task.id for task in tasks.listing(main)][-1] == "a-later-05B"


def test_no_tasks_at_all(main: Path) -> None:
    assert tasks.listing(main, archived=True) == []
    with pytest.raises(TaskNotFoundError):
        tasks.find("x", main)


def test_a_tasks_folder_that_is_itself_a_link_is_the_users_choice(main: Path, tmp_path: Path) -> None:
    put(tmp_path / "shared", "current/a.task.md")
    (main / ".tasks").symlink_to(tmp_path / "shared")
    assert [task.problem for task in tasks.listing(main)] == [""]


# Finding


def test_a_subtask_is_found_by_id_and_without_its_number(main: Path) -> None:
    in_repository(main, "current/big-05A/_overview.md", TITLE_FIRST.replace("authentication", "everything"))
    in_repository(main, "current/big-05A/01_first-05A.task.md")
    for name in ("01_first-05A", "first-05A", "big-05A/01_first-05A"):
        task = tasks.find(name, main)
        assert (task.id, task.parent) == ("01_first-05A", "big-05A")
    assert tasks.find("big-05A", main).title == "Implement everything"


def test_a_subtask_has_its_parents_overview_beside_it(main: Path, tmp_path: Path) -> None:
    in_repository(main, "archive/2025-05/big-05A/_overview.md", "# In the main worktree\n")
    in_repository(main, "archive/2025-05/big-05A/01_first-05A.task.md")
    worktree = tmp_path / "worktree"
    in_repository(worktree, "current/big-05A/01_first-05A.task.md")
    subtask = tasks.find("01_first-05A", main)
    overview = tasks.overview(subtask)
    assert overview == tasks.find("big-05A", main)
    assert tasks.overview(overview) is None
    moved = tasks.from_worktree(subtask, main, worktree)
    assert tasks.overview(moved) is None
    in_repository(worktree, "current/big-05A/_overview.md", "# In the worktree\n")
    assert (tasks.overview(moved) or subtask).title == "In the worktree"
    assert tasks.overview(tasks.bare("x")) is None


def test_a_name_that_fits_two_tasks_lists_names_that_work(main: Path) -> None:
    for parent in ("big-05A", "huge-05A"):
        in_repository(main, f"current/{parent}/_overview.md")
        in_repository(main, f"current/{parent}/01_test-05A.task.md")
    for name in ("01_test-05A", "test-05A"):
        with pytest.raises(AmbiguousTaskError) as raised:
            tasks.find(name, main)
        assert "big-05A/01_test-05A, huge-05A/01_test-05A" in raised.value.message
    assert tasks.find("huge-05A/01_test-05A", main).parent == "huge-05A"
    for name in ("01_test-05A", "test-05A"):
        in_repository(main, f"current/{name}.task.md")
        assert tasks.find(name, main).parent is None


def test_current_goes_before_backlog_and_the_newest_archive(main: Path) -> None:
    for location in ("archive/2024-05", "archive/2025-05", "backlog", "current"):
        in_repository(main, f"{location}/a-05A.task.md")
        assert tasks.find("a-05A", main).location == location
    put(central(main), "current/a-05A.task.md")
    assert (tasks.find("a-05A", main).path or Path()).is_relative_to(main)


def test_a_misspelt_name_gets_near_ones(main: Path) -> None:
    in_repository(main, "current/implement-auth-05A.task.md")
    in_repository(main, "current/big-05A/01_write-docs-05A.task.md")
    with pytest.raises(TaskNotFoundError, match=r"did you mean implement-auth-05A\?"):
        tasks.find("implment-auth-05A", main)
    with pytest.raises(TaskNotFoundError, match=r"did you mean write-docs-05A"):
        tasks.find("write-doc-05A", main)
    with pytest.raises(TaskNotFoundError) as raised:
        tasks.find("../../etc/passwd", main)
    assert "did you mean" not in raised.value.message


# What an agent wrote


def test_the_worktrees_file_goes_before_the_main_one(main: Path, tmp_path: Path) -> None:
    in_repository(main, "current/a-05A.task.md")
    in_repository(main, "current/b-05A.task.md")
    worktree = tmp_path / "app.worktrees" / "a-05A"
    moved = in_repository(worktree, "archive/2025-06/a-05A.task.md", TITLE_FIRST.replace("todo", "done"))
    a = tasks.from_worktree(tasks.find("a-05A", main), main, worktree)
    assert (a.path, a.status, a.location) == (moved, "done", "archive/2025-06")
    in_repository(worktree, "current/big-05A/b-05A.task.md")
    b = tasks.find("b-05A", main)
    assert tasks.from_worktree(b, main, worktree) == b


def test_a_task_that_only_the_worktree_has_a_file_for(main: Path, tmp_path: Path) -> None:
    worktree = tmp_path / "worktree"
    in_repository(worktree, "current/a-05A.task.md")
    assert tasks.from_worktree(tasks.bare("a-05A"), main, worktree).title == "Implement authentication"


def test_a_task_below_the_home_is_never_read_from_a_worktree(main: Path, tmp_path: Path) -> None:
    put(central(main), "current/a-05A.task.md")
    worktree = tmp_path / "worktree"
    in_repository(worktree, "current/a-05A.task.md", "# Planted\n")
    task = tasks.find("a-05A", main)
    assert tasks.from_worktree(task, main, worktree) == task


def test_links_out_of_the_tasks_are_not_followed(main: Path, tmp_path: Path) -> None:
    secret = put(tmp_path, "outside/secret.task.md", "# Secret\n")
    task_file = in_repository(main, "current/a-05A.task.md")
    (task_file.parent / "planted-05A.task.md").symlink_to(secret)
    (task_file.parent / "folder").symlink_to(secret.parent)
    (task_file.parent / "again-05A.task.md").symlink_to("a-05A.task.md")
    again, own, planted = tasks.listing(main)
    assert (own.title, again.title) == ("Implement authentication", "Implement authentication")
    assert "Secret" not in planted.model_dump_json()
    assert "a link that leads out of .tasks" in planted.problem


def test_a_file_that_becomes_a_link_while_it_is_read_gives_nothing_away(main: Path, tmp_path: Path) -> None:
    task_file = in_repository(main, "current/a.task.md")
    spare, secret = put(tmp_path, "outside/spare"), put(tmp_path, "outside/secret", "# Secret\n")
    link = tmp_path / "outside" / "link"
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            link.symlink_to(secret)
            link.replace(task_file)
            os.link(spare, link)
            link.replace(task_file)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        titles = {task.title for _ in range(400) for task in tasks.listing(main)}
    finally:
        over.set()
        swapping.join()
    assert titles <= {"", "Implement authentication"}


@pytest.mark.parametrize("link", [".tasks", ".tasks/current", ".tasks/current/a-05A.task.md"])
def test_a_worktree_cannot_lead_elsewhere(main: Path, tmp_path: Path, link: str) -> None:
    in_repository(main, "current/a-05A.task.md")
    outside = tmp_path / "outside"
    put(outside, "x/.tasks/current/a-05A.task.md", "# Secret\n")
    worktree = tmp_path / "worktree"
    (worktree / link).parent.mkdir(parents=True)
    (worktree / link).symlink_to(outside / "x" / link)
    task = tasks.find("a-05A", main)
    try:
        read = tasks.from_worktree(task, main, worktree)
    except UnreadableTaskError:
        return
    assert read == task


# Writing


def test_new_writes_title_first(main: Path) -> None:
    task = tasks.new(
        "implement-auth-05A", "Implement\nauth: #1", main, type="feature", area="no", instruction="Do it\n"
    )
    assert task.path == main / ".tasks/current/implement-auth-05A.task.md"
    assert task.path.read_text() == (
        "# Implement auth: #1\n\n---\ntype: feature\nstatus: todo\narea: 'no'\n---\n\n"
        "## Instruction\nDo it\n\n## Tasks\n\n## Deliverable\n\n## Log\n"
    )
    assert (task.title, task.type, task.status, task.area) == ("Implement auth: #1", "feature", "todo", "no")
    assert tasks.problems(task) == []
    assert tasks.find("implement-auth-05A", main) == task
    assert stat.S_IMODE(task.path.stat().st_mode) & 0o444 == 0o444
    assert [path.name for path in task.path.parent.iterdir()] == [task.path.name]


def test_new_with_a_title_that_is_no_text(main: Path) -> None:
    assert tasks.new("a-05A", "caf\udce9", main, type="bug", area="core").title == "caf?"


def test_new_in_the_backlog(main: Path) -> None:
    assert tasks.new("a-05A", "", main, type="bug", area="core", backlog=True).location == "backlog"
    assert tasks.find("a-05A", main).title == "a-05A"


def test_new_goes_where_the_projects_tasks_are(main: Path) -> None:
    put(central(main), "current/a-05A.task.md")
    (main / ".tasks" / ".modes").mkdir(parents=True)
    assert tasks.new("b-05A", "B", main, type="bug", area="core").path == central(main) / "current/b-05A.task.md"
    in_repository(main, "current/c-05A.task.md")
    assert tasks.new("d-05A", "D", main, type="bug", area="core").path == main / ".tasks/current/d-05A.task.md"


def test_new_subtask_gets_the_next_number(main: Path) -> None:
    in_repository(main, "backlog/big-05A/_overview.md")
    in_repository(main, "backlog/big-05A/09_ninth-05A.task.md")
    task = tasks.new("tenth-05B", "Tenth", main, type="bug", area="core", parent="big-05A")
    assert (task.id, task.parent, task.location) == ("10_tenth-05B", "big-05A", "backlog")
    assert tasks.new("03_third-05B", "Third", main, type="bug", area="core", parent="big-05A").id == "03_third-05B"
    with pytest.raises(TaskExistsError, match="10_tenth-05B"):
        tasks.new("tenth-05B", "Again", main, type="bug", area="core", parent="big-05A")
    with pytest.raises(TaskNotFoundError):
        tasks.new("x", "X", main, type="bug", area="core", parent="none-05A")


def test_new_subtask_of_a_single_file_says_how(main: Path) -> None:
    path = in_repository(main, "current/big-05A.task.md")
    with pytest.raises(NotAParentError) as raised:
        tasks.new("x", "X", main, type="bug", area="core", parent="big-05A")
    os.system(raised.value.hint.partition(": ")[2])
    assert not path.exists()
    assert tasks.new("x", "X", main, type="bug", area="core", parent="big-05A").id == "01_x"


@pytest.mark.parametrize("place", ["current", "backlog", "archive/2025-05"])
def test_new_never_overwrites(main: Path, place: str) -> None:
    path = in_repository(main, f"{place}/a-05A.task.md")
    with pytest.raises(TaskExistsError, match=str(path)):
        tasks.new("a-05A", "Another", main, type="bug", area="core")
    assert path.read_text() == TITLE_FIRST


def test_of_many_that_write_one_task_at_once_one_succeeds(main: Path) -> None:
    together, wins = threading.Barrier(8), []

    def write(number: int) -> None:
        together.wait()
        with contextlib.suppress(TaskExistsError):
            wins.append(tasks.new("a-05A", f"Writer {number}", main, type="bug", area="core"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [written] = wins
    assert tasks.listing(main) == [written]


def test_new_does_not_write_through_a_link(main: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (main / ".tasks").mkdir()
    (main / ".tasks" / "current").symlink_to(tmp_path / "outside")
    with pytest.raises(UnwritableTaskError, match=r"leads out of \.tasks"):
        tasks.new("a-05A", "A", main, type="bug", area="core")
    assert list((tmp_path / "outside").iterdir()) == []


def test_new_where_nothing_can_be_written(main: Path) -> None:
    (main / ".tasks").write_text("not a folder")
    with pytest.raises(UnwritableTaskError):
        tasks.new("a-05A", "A", main, type="bug", area="core")


# Names


@pytest.mark.parametrize(
    "name",
    [
        *["", "a/b", "/a", "-a", ".", "..", ".a", "a b", "a\nb", "a\x1b[31m", "a\x00", "a\u202eb", "a~1", "a^", "a:b"],
        *["a?", "a*", "a[b", "a\\b", "a..b", "a@{1}", "@", "a.lock", "a.", "a" * 201, "é" * 101, "a\ud800"],
    ],
)
def test_names_that_cannot_be(name: str, main: Path) -> None:
    with pytest.raises(InvalidTaskNameError):
        tasks.bare(name)
    with pytest.raises(InvalidTaskNameError):
        tasks.new(name, "Title", main, type="bug", area="core")
    assert not (main / ".tasks").exists()


@pytest.mark.parametrize(
    "name", ["a", "implement-auth-05A", "01_x", "fix.it", "Überprüfung", "日本語", "a@b", "it's", "$(x)"]
)
def test_names_that_can_be(name: str) -> None:
    assert tasks.bare(name) == Task(id=name)
    assert tasks.problems(tasks.bare(name)) == []


@given(st.text(max_size=12))
@settings(max_examples=200, deadline=None)
def test_a_name_that_is_taken_can_be_a_branch(name: str) -> None:
    try:
        tasks.bare(name)
    except InvalidTaskNameError:
        return
    assert is_a_ref(f"refs/heads/feature/{tasks.suffix(Task(id=name))}"), name


def is_a_ref(ref: str) -> bool:
    """The rules of git-check-ref-format(1)."""
    parts = ref.split("/")
    return (
        all(part and not part.startswith(".") and not part.endswith(".lock") for part in parts)
        and not any(ord(c) < 0o40 or c in "\x7f ~^:?*[\\" for c in ref)
        and not any(pair in ref for pair in ("..", "@{"))
        and not ref.endswith(".")
    )


@pytest.mark.parametrize(
    ("task_id", "suffix"),
    [
        ("implement-auth-05A", "auth-05A"),
        ("test-auth-05A", "auth-05A"),
        ("Fix-auth-05A", "auth-05A"),
        ("auth-05A", "auth-05A"),
        ("implement-05A", "implement-05A"),
        ("implement", "implement"),
        ("implement-", "implement-"),
        ("fix--.x", "x"),
        ("fix-add-button", "add-button"),
        ("implementation-05A", "implementation-05A"),
        ("write", "write"),
        ("document-13A", "13A"),
    ],
)
def test_suffixes(task_id: str, suffix: str) -> None:
    assert tasks.suffix(Task(id=task_id)) == suffix


def test_a_subtask_is_done_in_its_parents_environment() -> None:
    subtask = Task(id="01_test-login-05B", parent="implement-auth-05A")
    assert tasks.environment_id(subtask) == "implement-auth-05A"
    assert tasks.suffix(subtask) == "auth-05A"
    assert tasks.environment_id(Task(id="implement-auth-05A")) == "implement-auth-05A"
