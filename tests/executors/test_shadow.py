"""The agent's own gitdir, and what of it comes home. The agent's git runs here, told where the container has things."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from scopecraft_git import paths
from scopecraft_git.config import Settings
from scopecraft_git.errors import ReplacedGitLinkError
from scopecraft_git.executors import shadow
from scopecraft_git.executors.homecoming import Homecoming
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest, Imported

BRANCH = "feature/auth-05A"
BESIDE = "refs/scopecraft/sessions/s-1/"


class Agent(Protocol):
    def __call__(self, *arguments: str, check: bool = True) -> str: ...


@pytest.fixture
def worktree(repo: Path, git: Any) -> Path:
    path = repo.parent / "app.worktrees" / "auth-05A"
    git(repo, "branch", "other")
    git(repo, "worktree", "add", "-q", "-b", BRANCH, str(path))
    return path


@pytest.fixture
def request_(home: Path, repo: Path, worktree: Path, git: Any) -> ExecRequest:
    directory = paths.session("s-1")
    directory.mkdir()
    request = ExecRequest(
        session_id="s-1",
        task="auth-05A",
        mode=Mode.AUTONOMOUS,
        agent="command",
        directory=directory,
        repository=repo / ".git",
        worktree=worktree,
        branch=BRANCH,
        commit=git(repo, "rev-parse", BRANCH),
        argv=("true",),
        environment={},
        credentials={},
        settings=Settings(),
    )
    shadow.prepare(request)
    return request


@pytest.fixture
def own(request_: ExecRequest) -> Path:
    return request_.directory / "git"


@pytest.fixture
def agent(request_: ExecRequest, own: Path) -> Agent:
    """`agent(*arguments)`: git as the agent runs it."""
    environment = os.environ | {
        "GIT_DIR": str(own),
        "GIT_WORK_TREE": str(request_.worktree),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(request_.repository / "objects"),
    }

    def run(*arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=request_.worktree,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def commit(agent: Agent, worktree: Path, name: str = "new.txt") -> str:
    (worktree / name).write_text(f"{name}\n")
    agent("add", name)
    agent("commit", "-qm", f"Add {name}")
    return agent("rev-parse", "HEAD")


def bring(request: ExecRequest, *, ended: bool = False) -> list[Imported]:
    """What this call brings; what came home before is told of as well, and first."""
    before = [Imported(*told) for told in Homecoming(request).mark.reported]
    found = Homecoming(request).bring(ended=ended)
    assert found[: len(before)] == before
    return found[len(before) :]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refs(repo: Path, git: Any) -> dict[str, str]:
    lines = git(repo, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)


# What the agent is given


def test_it_starts_clean_with_the_whole_history(repo: Path, worktree: Path, agent: Agent, git: Any) -> None:
    assert agent("status", "--porcelain") == ""
    assert agent("symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"
    assert agent("for-each-ref") == git(repo, "for-each-ref")
    assert agent("log", "--format=%s") == "Start"


def test_settings_that_name_programs_stay_outside(repo: Path, worktree: Path, own: Path, git: Any) -> None:
    git(repo, "config", "core.pager", "touch ran")
    git(repo, "config", "remote.origin.url", "https://token@example.org/")
    git(repo, "config", "user.name", 'A "quoted" \\ name; # no comment')
    assert 'name = "A Developer"' in (own / "config").read_text()
    text = _prepared_again(own, repo, worktree)
    assert "pager" not in text
    assert "token" not in text
    assert git(own, "config", "-f", "config", "user.name") == 'A "quoted" \\ name; # no comment'


def _prepared_again(own: Path, repo: Path, worktree: Path) -> str:
    from scopecraft_git.repository import Repository

    shadow.prepare(
        ExecRequest(
            session_id="s-1",
            task="auth-05A",
            mode=Mode.AUTONOMOUS,
            agent="command",
            directory=own.parent,
            repository=repo / ".git",
            worktree=worktree,
            branch=BRANCH,
            commit=Repository(repo / ".git").resolve(BRANCH),
            argv=("true",),
            environment={},
            credentials={},
            settings=Settings(),
        )
    )
    return (own / "config").read_text()


def test_what_the_user_ignores_is_ignored(repo: Path, worktree: Path, own: Path, agent: Agent) -> None:
    (repo / ".git/info/exclude").write_text("*.secret\n")
    ignore = Path.home() / ".config/git/ignore"
    ignore.parent.mkdir(parents=True)
    ignore.write_text(".DS_Store")
    _prepared_again(own, repo, worktree)
    for name in ("a.secret", ".DS_Store", "b.txt"):
        (worktree / name).touch()
    assert agent("status", "--porcelain") == "?? b.txt"


def test_objects_borrowed_by_the_repository_are_mounted_too(request_: ExecRequest, tmp_path: Path, git: Any) -> None:
    lender = tmp_path / "lender"
    git(tmp_path, "init", "-q", str(lender))
    (request_.repository / "objects/info/alternates").write_text(f"{lender}/.git/objects\n")
    mounts = {mount.target: mount for mount in shadow.mounts(request_)}
    assert mounts["/scopecraft/objects/1"].source == lender / ".git/objects"
    assert mounts["/scopecraft/objects/0/info/alternates"].source.read_bytes() == b""
    assert all(mount.read_only for target, mount in mounts.items() if target.startswith("/scopecraft/objects"))


def test_the_repository_itself_is_not_mounted(request_: ExecRequest) -> None:
    sources = [mount.source for mount in shadow.mounts(request_)]
    assert request_.repository not in sources
    assert not any(source.is_relative_to(request_.repository / "worktrees") for source in sources)


@pytest.mark.parametrize("kind", ["folder", "link", "nothing"])
def test_a_replaced_link_is_refused(kind: str, repo: Path, worktree: Path, own: Path) -> None:
    link = worktree / ".git"
    link.unlink()
    if kind == "folder":
        link.mkdir()
    if kind == "link":
        link.symlink_to(repo / ".git")
    with pytest.raises(ReplacedGitLinkError):
        _prepared_again(own, repo, worktree)


# What comes home


def test_a_commit_arrives_and_nothing_else_changes(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    before = digests(repo / ".git")
    new = commit(agent, worktree)
    agent("tag", "v1")
    (worktree / "README.md").write_text("# changed\n")
    assert bring(request_) == [Imported(f"refs/heads/{BRANCH}", new)]
    assert git(repo, "rev-parse", BRANCH) == new
    assert git(worktree, "status", "--porcelain") == "M README.md"
    assert git(worktree, "diff-files", "--name-only") == "README.md"
    assert "import from session s-1" in git(repo, "reflog", BRANCH)
    changed = {name for name, digest in digests(repo / ".git").items() if before.get(name) != digest}
    branch = {f"refs/heads/{BRANCH}", f"logs/refs/heads/{BRANCH}", "worktrees/auth-05A/index"}
    assert {name for name in changed if not name.startswith("objects/pack/")} == branch
    assert before.keys() <= digests(repo / ".git").keys()


def test_the_next_import_does_nothing(worktree: Path, agent: Agent, request_: ExecRequest, repo: Path) -> None:
    commit(agent, worktree)
    bring(request_)
    before = digests(repo / ".git")
    assert bring(request_) == []
    assert digests(repo / ".git") == before


def test_an_import_says_all_that_came_home_so_far(
    worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    one = Imported(f"refs/heads/{BRANCH}", commit(agent, worktree, "one"))
    assert Homecoming(request_).bring(ended=False) == [one]
    two = Imported(f"refs/heads/{BRANCH}", commit(agent, worktree, "two"))
    for ended in (False, True):
        assert Homecoming(request_).bring(ended=ended) == [one, two]


def test_what_another_process_brought_is_told_of_and_not_brought_again(
    worktree: Path, agent: Agent, request_: ExecRequest
) -> None:
    other = Homecoming(request_)
    one = Imported(f"refs/heads/{BRANCH}", commit(agent, worktree, "one"))
    assert Homecoming(request_).bring(ended=True) == [one]
    assert other.bring(ended=True) == [one]


def test_an_import_that_is_killed_loses_and_doubles_nothing(request_: ExecRequest, tmp_path: Path) -> None:
    record = tmp_path / "request.json"
    record.write_text(request_.model_dump_json())
    program = [sys.executable, "-m", "tests.executors.killed_docker", "import", str(record)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_commits_arrive_one_after_the_other_from_packs_as_well(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    commit(agent, worktree, "one")
    bring(request_)
    commit(agent, worktree, "two")
    agent("gc", "-q", "--prune=now")
    agent("pack-refs", "--all")
    three = commit(agent, worktree, "three")
    assert bring(request_) == [Imported(f"refs/heads/{BRANCH}", three)]
    assert git(repo, "log", "--format=%s", f"main..{BRANCH}").split("\n") == ["Add three", "Add two", "Add one"]
    git(repo, "fsck", "--strict")


def test_what_was_staged_here_before_is_not_staged_twice(
    repo: Path, worktree: Path, own: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    (worktree / "staged").write_text("staged\n")
    git(worktree, "add", "staged")
    _prepared_again(own, repo, worktree)
    commit(agent, worktree, "new.txt")
    bring(request_)
    assert agent("show", "--format=", "--name-only", "HEAD").split() == ["new.txt", "staged"]
    assert git(worktree, "status", "--porcelain") == ""


def test_what_the_session_committed_it_may_amend(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    first = commit(agent, worktree)
    bring(request_)
    agent("commit", "-q", "--amend", "-m", "Other words")
    amended = agent("rev-parse", "HEAD")
    kept = f"{BESIDE}replaced-{first[:12]}"
    assert bring(request_) == [Imported(f"refs/heads/{BRANCH}", amended, f"it replaces {first[:10]}, kept as {kept}")]
    assert bring(request_) == []
    assert git(repo, "rev-parse", BRANCH) == amended
    assert git(repo, "rev-parse", kept) == first
    assert git(worktree, "status", "--porcelain") == ""


def test_history_of_before_goes_beside_when_it_is_rewritten(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    before = git(repo, "rev-parse", BRANCH)
    agent("commit", "-q", "--amend", "-m", "Other words")
    amended = agent("rev-parse", "HEAD")
    note = "the agent rewrote commits that were there before it began"
    assert bring(request_) == [Imported(f"{BESIDE}{BRANCH}", amended, note)]
    assert bring(request_) == []
    assert git(repo, "rev-parse", BRANCH) == before
    assert git(repo, "rev-parse", f"{BESIDE}{BRANCH}") == amended


def test_a_branch_that_moved_here_is_not_moved(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    mine = git(repo, "commit-tree", "-m", "Mine", "-p", BRANCH, f"{BRANCH}^{{tree}}")
    git(repo, "update-ref", f"refs/heads/{BRANCH}", mine)
    new = commit(agent, worktree)
    assert bring(request_) == [Imported(f"{BESIDE}{BRANCH}", new, "the branch has moved in the repository meanwhile")]
    assert git(repo, "rev-parse", BRANCH) == mine


def test_a_branch_that_is_gone_is_not_made_again(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    git(worktree, "checkout", "-q", "--detach")
    git(repo, "branch", "-D", BRANCH)
    new = commit(agent, worktree)
    assert bring(request_) == [Imported(f"{BESIDE}{BRANCH}", new, "the branch is gone from the repository")]
    assert f"refs/heads/{BRANCH}" not in refs(repo, git)


def test_an_import_that_was_killed_is_taken_up(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    """After the branch moved and before that was written down."""
    first = commit(agent, worktree, "one")
    bring(request_)
    mark = request_.directory / "imported.json"
    written = mark.read_bytes()
    mark.unlink()
    git(repo, "update-ref", f"refs/heads/{BRANCH}", request_.commit)
    before_move = Homecoming(request_)
    before_move._remember(accepted=[request_.commit, first])
    git(repo, "update-ref", f"refs/heads/{BRANCH}", first)
    assert mark.read_bytes() != written
    two = commit(agent, worktree, "two")
    assert bring(request_) == [Imported(f"refs/heads/{BRANCH}", two)]


def test_other_branches_and_a_loose_head_go_beside_at_the_end(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    before = refs(repo, git)
    agent("checkout", "-q", "-b", "attempt")
    attempt = commit(agent, worktree, "attempt.txt")
    agent("checkout", "-q", "--detach", BRANCH)
    loose = commit(agent, worktree, "loose.txt")
    assert bring(request_) == []
    note = "the agent committed outside the session's branch"
    assert bring(request_, ended=True) == [
        Imported(f"{BESIDE}attempt", attempt, note),
        Imported(f"{BESIDE}HEAD", loose, note),
    ]
    assert bring(request_, ended=True) == []
    assert refs(repo, git) == before | {f"{BESIDE}attempt": attempt, f"{BESIDE}HEAD": loose}


def test_branches_without_commits_of_their_own_stay_away(
    repo: Path, worktree: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    agent("branch", "same")
    agent("branch", "-f", "other", BRANCH)
    commit(agent, worktree)
    agent("branch", "same-later")
    assert len(bring(request_, ended=True)) == 1
    assert not [name for name in refs(repo, git) if name.startswith(BESIDE)]


# What a hostile agent leaves


@pytest.fixture
def untouched(repo: Path, worktree: Path, git: Any) -> Iterator[None]:
    """Fails the test when a ref of the repository is another after it."""
    before = refs(repo, git)
    yield
    assert refs(repo, git) == before


def write_object(own: Path, content: bytes, name: str | None = None) -> str:
    """A loose object, under its own name or a false one."""
    name = name or hashlib.sha1(content).hexdigest()
    path = own / "objects" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(zlib.compress(content))
    return name


def point_branch(own: Path, text: str) -> None:
    path = own / "refs/heads" / BRANCH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("text", ["", "../../../HEAD", "ref: refs/heads/main", "--all", "f" * 40, "0" * 40, "x" * 5000])
def test_a_ref_that_says_nonsense(text: str, own: Path, request_: ExecRequest) -> None:
    point_branch(own, text)
    for imported in bring(request_, ended=True):
        assert imported.note.startswith("not imported: ")
        assert imported.ref.startswith(BESIDE)
    assert bring(request_, ended=True) == []


@pytest.mark.usefixtures("untouched")
def test_a_commit_without_its_objects(worktree: Path, own: Path, agent: Agent, request_: ExecRequest) -> None:
    commit(agent, worktree)
    blob = agent("rev-parse", "HEAD:new.txt")
    (own / "objects" / blob[:2] / blob[2:]).unlink()
    assert [imported.note[:13] for imported in bring(request_)] == ["not imported:"]
    assert bring(request_) == []


def test_objects_that_arrive_late_are_imported_then(
    repo: Path, worktree: Path, own: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    new = commit(agent, worktree)
    blob = agent("rev-parse", "HEAD:new.txt")
    path = own / "objects" / blob[:2] / blob[2:]
    data = path.read_bytes()
    path.unlink()
    bring(request_)
    path.write_bytes(data)
    assert bring(request_) == [Imported(f"refs/heads/{BRANCH}", new)]


@pytest.mark.usefixtures("untouched")
def test_an_object_under_a_false_name(worktree: Path, own: Path, agent: Agent, request_: ExecRequest) -> None:
    commit(agent, worktree)
    write_object(own, b"blob 5\0other", agent("rev-parse", "HEAD:new.txt"))
    assert [imported.note[:13] for imported in bring(request_)] == ["not imported:"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("entry", [b".git", b"..", b"a/b", b""])
def test_a_tree_that_would_write_elsewhere(entry: bytes, own: Path, request_: ExecRequest) -> None:
    blob = bytes.fromhex(write_object(own, b"blob 2\0x\n"))
    row = b"100644 " + entry + b"\0" + blob
    tree = write_object(own, b"tree %d\0%b" % (len(row), row))
    text = f"tree {tree}\nparent {request_.commit}\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nx\n".encode()
    point_branch(own, write_object(own, b"commit %d\0%b" % (len(text), text)))
    assert [imported.note[:13] for imported in bring(request_)] == ["not imported:"]


@pytest.mark.usefixtures("untouched")
def test_a_pack_of_rubbish(own: Path, request_: ExecRequest) -> None:
    for end in ("pack", "idx"):
        (own / "objects/pack").mkdir(exist_ok=True)
        (own / f"objects/pack/pack-{'a' * 40}.{end}").write_bytes(b"PACK\0\0\0\2\xff\xff\xff\xff")
    point_branch(own, "a" * 40)
    assert [imported.note[:13] for imported in bring(request_)] == ["not imported:"]


@pytest.mark.usefixtures("untouched")
def test_a_blob_is_no_commit(own: Path, request_: ExecRequest) -> None:
    point_branch(own, write_object(own, b"blob 2\0x\n"))
    assert [imported.note[:13] for imported in bring(request_)] == ["not imported:"]


@pytest.mark.usefixtures("untouched")
def test_links_are_not_followed(tmp_path: Path, worktree: Path, own: Path, agent: Agent, request_: ExecRequest) -> None:
    new = commit(agent, worktree)
    outside = tmp_path / "outside"
    outside.write_text(new)
    path = own / "refs/heads" / BRANCH
    path.unlink()
    path.symlink_to(outside)
    assert bring(request_, ended=True) == []
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(tmp_path)
    (tmp_path / path.name).write_text(new)
    assert bring(request_, ended=True) == []


@pytest.mark.usefixtures("untouched")
def test_linked_objects_are_not_followed(
    tmp_path: Path, worktree: Path, own: Path, agent: Agent, request_: ExecRequest
) -> None:
    commit(agent, worktree)
    (own / "objects").rename(tmp_path / "objects")
    (own / "objects").symlink_to(tmp_path / "objects")
    assert [imported.note[:9] for imported in bring(request_)] == ["not impor"]
    (own / "objects").unlink()
    (own / "objects").mkdir()
    for fan in (tmp_path / "objects").iterdir():
        (own / "objects" / fan.name).symlink_to(fan)
    assert all(imported.note for imported in bring(request_))


@pytest.mark.usefixtures("untouched")
def test_a_pipe_in_place_of_a_ref_blocks_nothing(own: Path, request_: ExecRequest) -> None:
    point_branch(own, "")
    (own / "refs/heads" / BRANCH).unlink()
    os.mkfifo(own / "refs/heads" / BRANCH)
    (own / "packed-refs").unlink()
    os.mkfifo(own / "packed-refs")
    assert bring(request_, ended=True) == []


def test_names_that_climb_are_left_alone(
    repo: Path, worktree: Path, own: Path, agent: Agent, request_: ExecRequest, git: Any
) -> None:
    new = commit(agent, worktree)
    packed = own / "packed-refs"
    names = [
        "refs/heads/../../../main",
        "refs/heads/a..b",
        "refs/heads/x.lock",
        "refs/heads/-x",
        "refs/heads/a\x1b[31mb",
    ]
    packed.write_text(packed.read_text() + "".join(f"{new} {name}\n" for name in names))
    before = refs(repo, git)
    point_branch(own, request_.commit)
    found = bring(request_, ended=True)
    fresh = refs(repo, git).keys() - before.keys()
    assert all(name.startswith(BESIDE) and ".." not in name and "\x1b" not in name for name in fresh), fresh
    assert {name: commit for name, commit in refs(repo, git).items() if name in before} == before
    assert found == []


def test_planted_programs_do_not_run(
    repo: Path, worktree: Path, own: Path, agent: Agent, request_: ExecRequest, tmp_path: Path, git: Any
) -> None:
    ran = tmp_path / "ran"
    git(repo, "config", "filter.planted.clean", f"touch {ran}; cat")
    (worktree / ".gitattributes").write_text("* filter=planted\n")
    new = commit(agent, worktree)
    for name in ("reference-transaction", "post-checkout", "pre-auto-gc"):
        hook = own / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
    with (own / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = touch {ran}\n\thooksPath = {own / 'hooks'}\n")
    (own / "commondir").write_text(str(tmp_path))
    (own / "objects/info/alternates").write_text(str(tmp_path))
    assert bring(request_, ended=True) == [Imported(f"refs/heads/{BRANCH}", new)]
    assert not ran.exists()
