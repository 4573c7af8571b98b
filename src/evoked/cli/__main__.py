from evoked.cli import main

main()
