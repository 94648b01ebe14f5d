"""Words of a command: what is wrong with them is said in one line, without the usage before it."""

import argparse
from typing import NoReturn

from lightning_gantk.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """``argparse``'s, with errors of ours."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; {self.prog} --help says more.")
