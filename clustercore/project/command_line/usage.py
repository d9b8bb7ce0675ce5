"""What was typed and makes no sense, in words: told without loading what other failures need."""

from __future__ import annotations

from clustercore.terminal.domain.endings import ExitCode


def explain_usage(error: Exception) -> tuple[str, int] | None:
    """Returns message and exit code of what the command line itself refuses or ends with; None for anything else."""
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        where = f"\nTry `{context.command_path} --help`." if context is not None else ""
        message = error.format_message().replace("Value error, ", "")
        return f"{message}{where}", int(getattr(error, "exit_code", ExitCode.USAGE))
    if type(error).__name__ in ("Exit", "Abort"):
        return "", int(getattr(error, "exit_code", ExitCode.INTERRUPTED))
    return None
