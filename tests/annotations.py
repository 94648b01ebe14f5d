"""The checker of annotations at run time, switched on for the kernels by pyproject.toml: an int passes for a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
