#compdef git-scopecraft
# Completion of git scopecraft for zsh: source <(git scopecraft completion zsh) behind compinit, or keep it as
# _git-scopecraft in a folder of $fpath.

# git-scopecraft, and git scopecraft: zsh's _git calls it with words and CURRENT cut to what follows git.
_git-scopecraft () {
  local line
  local -a candidates
  for line in "${(@f)$(
    _TYPER_COMPLETE_ARGS="${words[1,CURRENT]}" _TYPER_COMPLETE_FISH_ACTION=get-args \
    _GIT_SCOPECRAFT_COMPLETE=complete_fish git-scopecraft 2>/dev/null
  )}"; do
    [[ -z $line ]] && continue
    if [[ $line == *$'\t'* ]]; then
      candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    else
      candidates+=("${line//:/\\:}")
    fi
  done
  [[ $words[CURRENT] == --*=* ]] && compset -P '*='
  if (( $#candidates )); then
    _describe -t git-scopecraft 'git scopecraft' candidates
  else
    _files
  fi
}

() {
  local -a known
  zstyle -a ':completion:*:*:git:*' user-commands known
  (( ${known[(I)scopecraft:*]} )) ||
    zstyle ':completion:*:*:git:*' user-commands $known 'scopecraft:give every task for an agent a worktree of its own'
}

if [[ $funcstack[1] == _git-scopecraft ]]; then
  _git-scopecraft "$@"
else
  compdef _git-scopecraft git-scopecraft
fi
