"""Work across the other packages: campaigns, the ladder, the dashboard. Not built yet."""
