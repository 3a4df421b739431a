"""Configuration and gates as plain data, for a channel."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from digitserve.server.config import KNOBS, Config
from digitserve.server.knobs import shown
from digitserve.server.rules import Rule, There
from digitserve.server.versions.settings import Gates


def plain_config(config: Config) -> dict[str, str]:
    """Each field as a variable would say it."""
    values = {name: getattr(config, name) for name in KNOBS}
    return {name: shown(value) for name, value in values.items() if value is not None}


def config_of(told: dict[str, str]) -> Config:
    """Reads that back; whether its files are still there is found out by who reads them."""
    return Config(**{name: _value(KNOBS[name].rule, text) for name, text in told.items()})


def _value(rule: Rule, text: str) -> Any:
    return Path(text) if isinstance(rule, There) else rule.of_text(text)


def plain_gates(gates: Gates) -> dict[str, Any]:
    """Gates, with the path as text."""
    return asdict(gates) | {"set": None if gates.set is None else str(gates.set)}


def gates_of(told: dict[str, Any]) -> Gates:
    """Reads that back."""
    return Gates(**told | {"set": None if told["set"] is None else Path(told["set"])})
