"""A plan or a day as it was handed over, checked in exact arithmetic and out of nothing but itself: it may have been edited."""
