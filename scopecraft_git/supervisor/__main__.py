import sys

from scopecraft_git.supervisor.waking import take_up

# The lock first: the rest takes long to import, and others want to know who is coming.
if (lock := take_up(sys.argv[1:])) is not None:
    from scopecraft_git.supervisor.process import main

    main(lock)
