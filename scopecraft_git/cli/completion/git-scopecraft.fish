# Completion of git scopecraft for fish: git scopecraft completion fish | source

# Candidates for the command line, whose words after git-scopecraft or git [OPTIONS] scopecraft count.
function __git_scopecraft_candidates
    set -l words (commandline -opc)
    while set -q words[1]; and not string match -qr '(^|/|-)scopecraft$' -- $words[1]
        set -e words[1]
    end
    set -l given (string join ' ' -- (string escape -- $words) (commandline -ct))
    set -l found (_TYPER_COMPLETE_ARGS="$given" _TYPER_COMPLETE_FISH_ACTION=get-args \
        _GIT_SCOPECRAFT_COMPLETE=complete_fish git-scopecraft 2>/dev/null)
    if string length -q -- $found
        set -l option (string match -r -- '^--[^=]+=' (commandline -ct); or echo '')
        printf '%s\n' $option$found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete -c git-scopecraft -f -a '(__git_scopecraft_candidates)'
complete -c git -f -n '__fish_git_using_command scopecraft' -a '(__git_scopecraft_candidates)'
complete -c git -f -n __fish_git_needs_command -a scopecraft -d 'Give every task for an agent a worktree of its own'
