"""Hive runs teams of agents in tmux from one TOML file, and can always say why."""

__version__ = "0.1.0"
