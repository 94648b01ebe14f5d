"""The command line stopped early: where everything is made, or where the configuration is known."""

from lightning_gantk.cli import GANCommand


class MadeCommand(GANCommand):
    """Makes everything that a command line says, and runs nothing."""

    def run_command(self, command: str) -> None:
        pass


class ParsedCommand(MadeCommand):
    """Knows the configuration that a command line says, and seeds, reads and makes nothing."""

    def set_seed(self) -> None:
        pass

    def take_settings_from_checkpoint(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass
