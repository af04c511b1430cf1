"""What each task can be asked to do: one module a task, one frozen struct in each."""
