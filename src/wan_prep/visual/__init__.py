"""What people look at: a report, its pictures and a plan become one page or a figure."""
