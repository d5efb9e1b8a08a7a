"""What hive decides: pure, without clock, file, process, socket or tmux."""
