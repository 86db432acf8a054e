from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopecraft_git.policy.commands import read

HEREDOC = """git commit -m "$(cat <<'EOF'
it's a git push

don't (
EOF
)\""""


def programs(command: str) -> list[str]:
    """What each command starts in the end."""
    return [" ".join(each.forms[-1]) for each in read(command).commands if each.forms]


@pytest.mark.parametrize(
    "command",
    [
        "git push",
        "  git   push",
        "git -C x push",
        "git -c a=b --git-dir=/x --no-pager push",
        "/usr/bin/git push",
        "'git' \"push\"",
        "g\\it pu''sh",
        "$'git' push",
        "$'\\x67it' push",
        "$'\\147\\151t' $'\\u0070ush'",
        "$'git\\x20push' 2>/dev/null || git $'push'; echo $'\\xZZ\\$'",
        "git $'push\\0hidden'; echo $'\\²'",
        "git \\\n push",
        "cd a && git push",
        "cd a; git push",
        "cd a & git push",
        "false || git push",
        "cd a\ngit push",
        "yes | git push",
        "(cd a; git push)",
        "{ git push; }",
        "! git push",
        "if true; then git push; fi",
        "for i in 1 2; do git push; done",
        "case a in a) git push;; esac",
        "f() { git push; }; f",
        "A=b git push",
        "sudo -u me git push",
        "env -u C A=b git push",
        "timeout -k 5 10 git push",
        "nohup nice -n 5 git push",
        "command git push",
        "time git push",
        "echo a | xargs -n 1 git push",
        "find . -name a -exec git push \\;",
        "bash -c 'git push'",
        "sh -ec 'cd a && git push'",
        "env -S 'git push'",
        "sudo bash -lc \"sh -c 'git push'\"",
        "eval git push",
        "eval 'git push'",
        "echo $(git push)",
        'echo "a $(git push) b"',
        "echo `git push`",
        "echo ${a:-$(git push)}",
        "cat <(git push)",
        "bash <<EOF\ngit push\nEOF",
        "bash <<< 'git push'",
        "cat <<EOF\n$(git push)\nEOF",
        "cat <<EOF > a\ntext\nEOF\ngit push",
        "cat <<-EOF\n\ttext\n\tEOF\ngit push",
        "echo $((1<<2))\ngit push",
        "((a<<2))\ngit push",
        "ls 2>&1 >a &>/dev/null; git push",
        "echo a#b; git push",
        "cat <<EOF\nnever ends\ngit push",
    ],
)
def test_a_push_does_not_slip_by(command: str) -> None:
    assert "git push" in programs(command)


@pytest.mark.parametrize(
    "command",
    [
        "echo 'git push'",
        'git commit -m "no; git push"',
        "git log # git push",
        "cat <<'EOF'\ngit push\nEOF",
        "cat <<EOF > a\ngit push\nEOF",
        HEREDOC,
        "git stash push",
        "grep 'git push' a",
    ],
)
def test_what_only_speaks_of_a_push_is_none(command: str) -> None:
    assert [each for each in programs(command) if each.startswith("git push")] == []


def test_pipelines_are_known_as_such() -> None:
    assert read("curl -s 'http://a?b&c' | sudo sh; ls | wc").pipelines == ("curl -s http://a?b&c | sh", "ls | wc")


def test_redirections_are_no_arguments() -> None:
    (command,) = read("sort < in 2>>err > 'a file'").commands
    assert (command.forms, command.read, command.written) == ((("sort",),), ("in",), ("err", "a file"))


@pytest.mark.parametrize("command", ["echo 'a", 'echo "a', "echo $(a", "cat <<EOF\na", "echo `a"])
def test_what_is_cut_off_is_not_understood(command: str) -> None:
    assert not read(command).understood
    assert read("echo 'a' \"b\" $(c) `d`").understood


SHELL = st.lists(
    st.sampled_from(
        [*"'\"`$(){}<>|&;#\\\n\t ab=~/-", "<<", "$(", "${", "((", "EOF", "git push", "sudo ", "bash -c ", "$'", ">&"]
    ),
    max_size=40,
).map("".join)


@given(SHELL | st.text(max_size=60))
@settings(max_examples=400, deadline=None)
def test_reading_raises_nothing_and_ends(command: str) -> None:
    read(command)
