"""``tagkin variants``: the search, and decisions on what it proposes."""

import typer

from tagkin.cli.guard import guarded
from tagkin.cli.variants import decide, exchange, search
from tagkin.cli.variants.show import print_variants

NAME = "variants"

app = typer.Typer(name=NAME, context_settings={"help_option_names": ["-h", "--help"]})
app.callback(invoke_without_command=True)(guarded(search.command))
for _module in (decide, exchange):
    for _name, _command in _module.COMMANDS.items():
        app.command(_name)(guarded(_command))

__all__ = ["NAME", "app", "print_variants"]
