"""`musictag doctor`: whether all that musictag needs is there and works; nothing is changed."""
