"""Files that Cochrane reviewers have: RevMan 5 files, Cochrane data packages and study-data templates."""
