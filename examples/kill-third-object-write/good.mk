# Removes the target of a recipe that failed: a half-written object does not stay.
.DELETE_ON_ERROR:

include rules.mk
