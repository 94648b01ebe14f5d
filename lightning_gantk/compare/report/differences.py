"""In which keys the configurations of cells differ."""

from typing import Any

from lightning_gantk.compare.report.results import Results

_OF_A_RUN = ("seed_everything", "name", "ckpt_path", "trainer.default_root_dir", "config")


def differing(results: Results) -> list[tuple[str, list[str]]]:
    """Keys that are not the same in all cells that have begun, with a value for each cell ("" for none)."""
    configs = []
    for cell in results.cells:
        begun = [result.config for result in results.runs if result.run.cell == cell and result.config]
        configs.append(flat(begun[0]) if begun else {})
    begun = [config for config in configs if config]
    keys = dict.fromkeys(key for config in configs for key in config if not _is_of_a_run(key))
    found = []
    for key in keys:
        values = [config.get(key, "") for config in configs]
        if len({config.get(key, "") for config in begun}) > 1:
            found.append((key, values))
    return found


def flat(value: Any, path: str = "") -> dict[str, str]:
    """Leaves of a configuration by dotted key, without ``init_args``; a class by its own name."""
    if isinstance(value, dict) and "class_path" in value:
        inside = flat(value.get("init_args") or {}, path) if value.get("init_args") else {}
        return {path: str(value["class_path"]).rpartition(".")[-1], **inside}
    if isinstance(value, dict) and value:
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= flat(inner, f"{path}.{key}" if path else str(key))
        return found
    if isinstance(value, float):
        return {path: f"{value:.12g}"}
    return {path: "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)}


def _is_of_a_run(key: str) -> bool:
    return key in _OF_A_RUN
