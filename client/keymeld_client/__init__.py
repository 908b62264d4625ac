"""The participant's side: a Python SDK and the `keymeld` command.

It verifies every record it hears, recomputes whatever it can instead of believing it, and resumes each stream where
it stood when the connection was lost.

`sdk.py` lists what is exported. It is imported when somebody asks for a name: `keymeld --version` lies in this package
too, and needs none.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sdk import *  # noqa: F403
else:

    def __getattr__(name: str) -> Any:
        """Take a name of the SDK from where `sdk.py` has it."""
        if name == "__all__" or not name.startswith("_"):
            import keymeld_client.sdk as sdk

            if name == "__all__" or name in sdk.__all__:
                return getattr(sdk, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
