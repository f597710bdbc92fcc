# As good.mk, without .DELETE_ON_ERROR: what a failed recipe has left counts as made.

include rules.mk
