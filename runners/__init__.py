"""The programs that do the work, one a task, each started as its own process."""
