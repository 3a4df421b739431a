"""Several hosts on one machine, and what is proved of servers on them."""
