"""Pictures of results: functions of the three tables that take ``ax=None`` and return Matplotlib Axes."""
