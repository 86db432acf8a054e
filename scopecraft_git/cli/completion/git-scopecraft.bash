# Completion of git scopecraft for bash: source <(git scopecraft completion bash)

# $1: number of the word that is being typed; then the words, the command's name first.
__git_scopecraft_candidates ()
{
	local IFS=$' \t\n' number=$1 candidate
	shift
	COMPREPLY=()
	while IFS= read -r candidate; do
		[ -n "$candidate" ] && COMPREPLY+=("$(printf '%q' "$candidate")")
	done < <(
		# Behind git -C, tasks are looked for there.
		COMP_WORDS="$*" COMP_CWORD="$number" _GIT_SCOPECRAFT_COMPLETE=complete_bash \
			git ${__git_C_args[@]+"${__git_C_args[@]}"} scopecraft 2>/dev/null
	)
}

# git scopecraft: called by git's own completion, which sets words, cword and the index of the command among them.
_git_scopecraft ()
{
	local first="${__git_cmd_idx:-1}"
	__git_scopecraft_candidates "$((cword - first))" "${words[@]:first}"
	COMPREPLY=("${COMPREPLY[@]/%/ }") # git asks readline to leave the space to us
}

# git-scopecraft
__git_scopecraft_command ()
{
	local words=("${COMP_WORDS[@]}") cword="$COMP_CWORD"
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n =: words cword
	fi
	__git_scopecraft_candidates "$cword" "${words[@]}"
}

complete -o bashdefault -o default -F __git_scopecraft_command git-scopecraft
