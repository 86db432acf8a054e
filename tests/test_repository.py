from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors
from scopecraft_git.repository import Repository, run_git, scrubbed_environment


@pytest.fixture
def repository(repo: Path) -> Repository:
    return Repository(repo / ".git")


def linked(repo: Path, git: Any) -> Path:
    path = repo.parent / "linked"
    git(repo, "worktree", "add", "-q", "-b", "linked", str(path))
    return path


def test_it_is_found_from_everywhere_in_it(repo: Path, git: Any, tmp_path: Path) -> None:
    (repo / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(repo / "deep")
    inside = linked(repo, git)
    (inside / "sub").mkdir()
    for start in (repo, repo / "deep" / "er", tmp_path / "link", inside, inside / "sub", repo / ".git"):
        found = Repository.discover(start)
        assert (found.common_dir, found.main_worktree) == (repo / ".git", repo)


@pytest.mark.parametrize("name", ["-dash", "with space", "grün ☃", "new\nline"])
def test_any_path_will_do(tmp_path: Path, git: Any, name: str) -> None:
    git(tmp_path, "init", "-q", "--", f"./{name}")
    assert Repository.discover(tmp_path / name).main_worktree == tmp_path / name


def test_elsewhere_there_is_none(tmp_path: Path) -> None:
    for start in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(errors.NotARepositoryError):
            Repository.discover(start)


def test_what_a_git_hook_inherits_leads_nobody_astray(
    repo: Path, git: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "other")
    git(repo, "commit", "-q", "--allow-empty", "-m", "Second")
    for name in ("GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "other" / ".git"))
    found = Repository.discover(repo)
    assert found.common_dir == repo / ".git"
    assert found.refs().heads == {"main": found.resolve("main")}
    assert [commit.subject for commit in found.commits("main~1", "main")] == ["Second"]


def test_a_worktree_is_known_by_its_path_alone(repo: Path, git: Any, home: Path, tmp_path: Path) -> None:
    path = linked(repo, git)
    (path / "sub").mkdir()
    Repository(repo / ".git").remember(path)
    (path / ".git").unlink()
    git(path, "init", "-q")
    assert Repository.discover(path / "sub").common_dir == repo / ".git"
    (tmp_path / "link").symlink_to(path)
    assert Repository.discover(tmp_path / "link").common_dir == repo / ".git"
    Repository(repo / ".git").forget(path)
    assert Repository.discover(path).common_dir == path / ".git"


def test_a_record_that_is_no_longer_true_is_not_believed(repo: Path, git: Any, home: Path) -> None:
    path = linked(repo, git)
    Repository(repo / ".git").remember(path)
    git(repo, "worktree", "remove", str(path))
    git(repo.parent, "init", "-q", str(path))
    assert Repository.discover(path).common_dir == path / ".git"


@pytest.mark.parametrize(
    ("branches", "configured", "expected"),
    [
        (["master"], None, "master"),
        (["trunk", "other"], None, "trunk"),
        (["only"], None, "only"),
        (["master", "main"], None, "main"),
        (["master", "main", "develop"], "develop", "develop"),
    ],
)
def test_the_default_branch(
    tmp_path: Path, git: Any, branches: list[str], configured: str | None, expected: str
) -> None:
    git(tmp_path, "init", "-q", "-b", branches[0], "app")
    git(tmp_path / "app", "commit", "-q", "--allow-empty", "-m", "Start")
    for branch in branches[1:]:
        git(tmp_path / "app", "branch", branch)
    if configured:
        git(tmp_path / "app", "config", "scopecraft.worktree.base", configured)
    assert Repository(tmp_path / "app" / ".git").default_branch == expected


def test_the_default_branch_is_what_the_remote_says(repo: Path, git: Any, tmp_path: Path) -> None:
    git(repo, "switch", "-q", "-c", "develop")
    git(tmp_path, "clone", "-q", str(repo), "clone")
    git(tmp_path / "clone", "branch", "main")
    cloned = Repository(tmp_path / "clone" / ".git")
    assert cloned.default_branch == "develop"
    git(tmp_path / "clone", "switch", "-q", "main")
    git(tmp_path / "clone", "branch", "-q", "-D", "develop")
    assert Repository(cloned.common_dir).default_branch == "develop"
    assert cloned.protected(cloned.refs(), "release") == {"develop", "release"}


def test_a_default_branch_that_cannot_be_known_is_asked_for(tmp_path: Path, git: Any) -> None:
    git(tmp_path, "init", "-q", "-b", "one", "app")
    with pytest.raises(errors.UnbornRepositoryError):
        _ = Repository(tmp_path / "app" / ".git").default_branch
    git(tmp_path / "app", "commit", "-q", "--allow-empty", "-m", "Start")
    git(tmp_path / "app", "branch", "two")
    with pytest.raises(errors.NoDefaultBranchError, match="one, two") as problem:
        _ = Repository(tmp_path / "app" / ".git").default_branch
    subprocess.run(problem.value.hint.partition(": ")[2], shell=True, cwd=tmp_path / "app", check=True)
    assert Repository(tmp_path / "app" / ".git").default_branch == "one"
    git(tmp_path / "app", "config", "scopecraft.worktree.base", "gone")
    with pytest.raises(errors.UnknownRefError):
        _ = Repository(tmp_path / "app" / ".git").default_branch


def test_branch_names_may_hold_what_looks_like_the_end_of_a_line(repo: Path, git: Any, repository: Repository) -> None:
    names = {"a\u2028b", "a\u0085b", "grün"}
    for name in names:
        git(repo, "branch", name)
    assert set(repository.refs().heads) == names | {"main"}


def test_configuration_is_gits(repo: Path, git: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repo, "config", "--global", "scopecraft.agent", "global")
    git(repo, "config", "scopecraft.docker.image", "two\nlines")
    git(repo, "config", "scopecraft.agent", "local")
    found = {"scopecraft.agent": "local", "scopecraft.docker.image": "two\nlines"}
    assert Repository(repo / ".git").configured("scopecraft") == found
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'scopecraft.agent=given'")  # git -c scopecraft.agent=given scopecraft
    assert Repository(repo / ".git").configured("scopecraft")["scopecraft.agent"] == "given"
    assert "core.hookspath" not in Repository(repo / ".git").config


def test_configuration_that_cannot_be_read_is_said(repo: Path, repository: Repository) -> None:
    (repo / ".git" / "config").write_text("[core\n")
    with pytest.raises(errors.GitFailedError, match="bad config"):
        repository.configured("scopecraft")


def test_git_does_not_wait_forever(repo: Path) -> None:
    with pytest.raises(errors.GitFailedError, match="no answer within 0 s"):
        run_git("-c", "alias.wait=!sleep 60", "wait", cwd=repo, timeout=0.2)


def test_nothing_is_fetched_on_the_way(repo: Path, git: Any, tmp_path: Path) -> None:
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repo}", "partial")
    missing = ("cat-file", "-p", "HEAD:README.md")
    with pytest.raises(errors.GitFailedError):
        Repository(tmp_path / "partial" / ".git").git(*missing)
    assert git(tmp_path / "partial", *missing) == "# app"


def test_a_folder_that_is_gone_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(errors.GitFailedError, match="No such file or directory"):
        run_git("status", cwd=tmp_path / "gone")


def test_the_environment_keeps_what_only_a_user_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/etc/other")
    monkeypatch.setenv("GIT_SSH_COMMAND", "evil")
    environment = scrubbed_environment(GIT_DIR="/here")
    assert (environment["GIT_CONFIG_GLOBAL"], environment["GIT_DIR"]) == ("/etc/other", "/here")
    assert "GIT_SSH_COMMAND" not in environment


def test_one_at_a_time_holds_the_lock(repo: Path, repository: Repository) -> None:
    holder = (
        "import sys; from pathlib import Path; from scopecraft_git.repository import Repository\n"
        "with Repository(Path(sys.argv[1])).lock():\n    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", holder, str(repository.common_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdin
        other.stdout.readline()
        with pytest.raises(errors.LockTimeoutError), repository.lock(timeout=0.05):
            pass
        other.stdin.close()
        with repository.lock(timeout=30):
            pass


def test_whoever_holds_the_lock_may_take_it_again_and_other_threads_may_not(repository: Repository) -> None:
    seen: list[str] = []

    def other() -> None:
        try:
            with repository.lock(timeout=0.05):
                seen.append("held")
        except errors.LockTimeoutError:
            seen.append("refused")

    with repository.lock(), repository.lock():
        pass
    with repository.lock():
        with repository.lock():
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    other()
    assert seen == ["refused", "held"]


def test_commits_are_read_as_they_are(repo: Path, git: Any, repository: Repository) -> None:
    base = repository.resolve("main")
    (repo / "a").write_text("1\n2\n")
    (repo / "README.md").unlink()
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "First \x1b[31m\x01 3 files changed\n\nbody\n")
    git(repo, "-c", "user.name=Ä\x9b31m", "commit", "-q", "--allow-empty", "-m", "Second")
    second, first = repository.commits(base, "main")
    assert (first.subject, first.author) == ("First \x1b[31m\x01 3 files changed", "A Developer")
    assert (first.files, first.insertions, first.deletions) == (2, 2, 1)
    assert (second.sha, second.subject, second.files) == (repository.resolve("main"), "Second", 0)
    assert "Ä" in second.author


def test_commits_that_no_decent_program_wrote_are_read(repo: Path, git: Any, repository: Repository) -> None:
    tree = git(repo, "rev-parse", "HEAD^{tree}")
    raw = (
        f"tree {tree}\nparent {repository.resolve('main')}\nauthor <\xff <x> 99999999999999999999 +9999\n"
        "committer x <x> nonsense\nencoding no-such-encoding\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n\n\xfe\x00after"
    )
    command = ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    made = run_git(*command, cwd=repo, stdin=raw.encode("latin-1")).stdout.decode().strip()
    git(repo, "config", "log.showSignature", "true")
    assert [commit.sha for commit in repository.commits("main", made)] == [made]


def test_commits_take_no_options(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(errors.UnknownRefError):
        repository.commits(f"--output={tmp_path}/written", "main")
    assert not (tmp_path / "written").exists()
