from scopecraft_git.supervisor.process import main

main()
