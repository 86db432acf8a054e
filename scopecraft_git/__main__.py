from scopecraft_git.cli import main

main()
