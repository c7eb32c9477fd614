"""Jobs, schedules, sensors, alerting and the command line: the top floor."""
